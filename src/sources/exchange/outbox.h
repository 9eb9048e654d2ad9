// Outbox: the blocks of one publisher, from their making until no Redis can lose them any more.
//
// Why: a block must reach the stream exactly once, through a davy that is killed (so the outbox is
// saved before anything is sent), a Redis that is away (so blocks wait), and one that comes back
// without what it had acknowledged (so blocks are held for a while after that, to be sent again;
// judges know a block by its sequence number and drop what they have).
// Threading: not thread-safe. No I/O. Failure: more than kMostWaiting wait: the oldest is dropped,
// and whoever reads the stream sees the hole in the numbers.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace davy {
class Archive;
}

namespace davy::source {

class Outbox {
 public:
  static constexpr std::size_t kMostWaiting = 720;  // an hour of 5 s
  static constexpr std::size_t kMostHeld = 120;     // ten minutes
  static constexpr std::size_t kMostBytes = 8 << 20;

  struct Entry {
    std::string bytes;
    std::string id;  // in the stream; "" while it waits
    // The connection over which it was acknowledged: what came over the present one is there.
    std::uint64_t connection = 0;
    void archive(Archive& state);
  };

  /// Returns how many old ones had to be dropped for it.
  std::size_t add(std::string bytes);

  /// The next one to send, or null.
  const Entry* next() const { return waiting_.empty() ? nullptr : &waiting_.front(); }
  /// It is in the stream.
  void acknowledge(std::string id, std::uint64_t connection);

  /// The last acknowledged one, or null.
  const Entry* last_held() const { return held_.empty() ? nullptr : &held_.back(); }
  /// Of none it is known any more whether it is there.
  void doubt();
  /// The one acknowledged last over another connection than this, or null.
  const Entry* unsure_of(std::uint64_t connection) const;
  /// The stream has it, and so it has those before.
  void confirm(const std::string& id, std::uint64_t connection);
  /// The stream has lost it: it waits again, before all others. From the newest to the oldest.
  void send_again(const std::string& id);

  std::size_t waiting() const { return waiting_.size(); }
  void archive(Archive& state);

 private:
  std::size_t bytes() const;

  std::vector<Entry> waiting_;  // oldest first, as held_
  std::vector<Entry> held_;
};

}  // namespace davy::source
