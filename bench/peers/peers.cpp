#include "peers/peers.h"

#include <cmath>

#include "peers/mann_whitney.h"

namespace davy::peers {
namespace {

constexpr double kMinute = 60;
constexpr double kHour = 3600;
constexpr double kFirstLook = 600;  // Kayenta's: fewer points make its interval meaningless

struct Counts {
  double n1 = 0, k1 = 0, n2 = 0, k2 = 0;

  void add(const Block& b) {
    n1 += b.baseline.requests;
    k1 += b.baseline.errors;
    n2 += b.canary.requests;
    k2 += b.canary.errors;
  }
};

bool ends(double t, double every) {
  return std::fabs(std::remainder(t, every)) < 1e-6;
}

class Kayenta final : public Peer {
 public:
  explicit Kayenta(double every) : every_(every) {}

 private:
  bool condemns(const Block& block, double t) override {
    minute_.add(block);
    if (!ends(t, kMinute)) return false;
    // A minute without requests has no rate: NaN, which Kayenta removes.
    if (minute_.n1 > 0) baseline_.push_back(minute_.k1 / minute_.n1);
    if (minute_.n2 > 0) canary_.push_back(minute_.k2 / minute_.n2);
    minute_ = {};
    return t >= kFirstLook && ends(t, every_) && kayenta_says_high(canary_, baseline_);
  }

  const double every_;
  Counts minute_;
  std::vector<double> baseline_, canary_;
};

class ZTest final : public Peer {
 public:
  ZTest(double critical, double every) : critical_(critical), every_(every) {}

 private:
  bool condemns(const Block& block, double t) override {
    so_far_.add(block);
    if (!ends(t, every_)) return false;
    const Counts& c = so_far_;
    if (c.n1 <= 0 || c.n2 <= 0) return false;
    double p = (c.k1 + c.k2) / (c.n1 + c.n2);
    double variance = p * (1 - p) * (1 / c.n1 + 1 / c.n2);
    if (variance <= 0) return false;
    return (c.k2 / c.n2 - c.k1 / c.n1) / std::sqrt(variance) > critical_;
  }

  const double critical_, every_;
  Counts so_far_;
};

class Threshold final : public Peer {
 public:
  Threshold(double limit, int failures) : limit_(limit), failures_left_(failures) {}

 private:
  bool condemns(const Block& block, double t) override {
    minute_.add(block);
    if (!ends(t, kMinute)) return false;
    if (minute_.n2 > 0 && minute_.k2 / minute_.n2 > limit_) --failures_left_;
    minute_ = {};
    return failures_left_ <= 0;
  }

  const double limit_;
  int failures_left_;
  Counts minute_;
};

constexpr double kOneSided5 = 1.6449;  // standard normal
constexpr double kOneSided1 = 2.3263;

}  // namespace

void Peer::see(const Block& block, double t) {
  if (!rolled_back_ && condemns(block, t)) rolled_back_ = t;
}

const std::vector<NamedPeer>& all_peers() {
  using Made = std::unique_ptr<Peer>;
  static const std::vector<NamedPeer> all{
      {"Kayenta, every minute", "2%", []() -> Made { return std::make_unique<Kayenta>(kMinute); }},
      {"Kayenta, every 10 min", "2%",
       []() -> Made { return std::make_unique<Kayenta>(10 * kMinute); }},
      {"Kayenta, once at the end", "2%", []() -> Made { return std::make_unique<Kayenta>(kHour); }},
      {"z-test 5%, every scrape", "5%",
       []() -> Made { return std::make_unique<ZTest>(kOneSided5, 5); }},
      {"z-test 1%, every scrape", "1%",
       []() -> Made { return std::make_unique<ZTest>(kOneSided1, 5); }},
      {"z-test 5%, once at the end", "5%",
       []() -> Made { return std::make_unique<ZTest>(kOneSided5, kHour); }},
      {"errors > 0.1% in a minute (Argo)", "none",
       []() -> Made { return std::make_unique<Threshold>(0.001, 1); }},
      {"errors > 0.1% in 5 minutes (Flagger)", "none",
       []() -> Made { return std::make_unique<Threshold>(0.001, 5); }},
  };
  return all;
}

}  // namespace davy::peers
