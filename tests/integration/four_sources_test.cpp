// One traffic, four sources: classic and native histograms scraped, a real Prometheus, and StatsD.
// The judge hears of the same requests on each way and comes to the same verdict at the same time.

#include <doctest/doctest.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <cmath>
#include <memory>
#include <string>
#include <vector>

#include "base/guarded.h"
#include "canary/judge.h"
#include "lab/prometheus.h"
#include "lab/protobuf_page.h"
#include "lab/server.h"
#include "lab/source.h"
#include "net/socket.h"

using namespace davy;
using namespace std::chrono_literals;

namespace {

constexpr int kRequests = 300;  // of each version in a round
constexpr int kSchema = 3;      // of the native histogram: 8 buckets to the octave

/// What one version has served since it started, and how it shows.
class Version {
 public:
  /// A round of requests: so many of them fail, and they take so many times longer.
  void serve(int errors, double slower) {
    lines_.clear();
    for (int i = 0; i < kRequests; ++i) {
      // Latencies between 10 and 160 ms, the same in each round.
      double seconds = 0.01 * std::exp2(4.0 * i / kRequests) * slower;
      for (std::size_t b = 0; b < kBounds.size(); ++b) buckets_[b] += seconds <= kBounds[b];
      auto native = static_cast<int>(std::ceil(std::log2(seconds) * (1 << kSchema)));
      ++native_.at(static_cast<std::size_t>(native - kFirst));
      bool is_error = i < errors;
      ++(is_error ? failed_ : good_);
      lines_.push_back(
          fmt::format("requests.count:1|c|#version:{0}\nrequests.duration:{1}|ms|#version:"
                      "{0}\nrequests.status:1|c|#version:{0},status:{2}",
                      name, seconds * 1e3, is_error ? 500 : 200));
    }
  }

  std::string text() const {
    std::string page = fmt::format(
        "# TYPE n counter\nn{{code=\"200\"}} {}\nn{{code=\"500\"}} {}\n# TYPE h histogram\n", good_,
        failed_);
    for (std::size_t b = 0; b < kBounds.size(); ++b)
      page += fmt::format("h_bucket{{le=\"{}\"}} {}\n", kBounds[b], buckets_[b]);
    page += fmt::format("h_bucket{{le=\"+Inf\"}} {0}\nh_sum 1\nh_count {0}\n", good_ + failed_);
    return page;
  }

  std::string protobuf() const {
    using lab::Protobuf;
    Protobuf counter = Protobuf().text(1, "n").number(3, 0);
    for (const auto& [code, value] : {std::pair{"200", good_}, std::pair{"500", failed_}}) {
      counter.part(4, Protobuf()
                          .part(1, Protobuf().text(1, "code").text(2, code))
                          .part(3, Protobuf().real(1, value)));
    }
    Protobuf histogram;
    histogram.number(1, static_cast<std::uint64_t>(good_ + failed_)).signed_number(5, kSchema);
    histogram.part(12, Protobuf().signed_number(1, kFirst).number(
                           2, static_cast<std::uint64_t>(native_.size())));
    std::int64_t before = 0;
    for (std::int64_t count : native_)
      histogram.signed_number(13, count - std::exchange(before, count));
    Protobuf family = Protobuf().text(1, "h").number(3, 4).part(4, Protobuf().part(7, histogram));
    return counter.delimited() + family.delimited();
  }

  const std::vector<std::string>& statsd_lines() const { return lines_; }
  double served() const { return good_ + failed_; }

  std::string name;

 private:
  // 8 buckets to the octave, as the native ones, so that all ways see equally well.
  static constexpr int kFirst = -60;
  static inline const std::array<double, 70> kBounds = [] {
    std::array<double, 70> bounds{};
    for (std::size_t i = 0; i < bounds.size(); ++i)
      bounds[i] = std::exp2((static_cast<double>(i) + kFirst) / (1 << kSchema));
    return bounds;
  }();

  double good_ = 0;
  double failed_ = 0;
  std::array<std::int64_t, 70> buckets_{};
  std::array<std::int64_t, 70> native_{};
  std::vector<std::string> lines_;
};

/// Shows a version as text, or as protobuf.
struct Exporter {
  std::shared_ptr<Guarded<std::string>> page = std::make_shared<Guarded<std::string>>();
  lab::Server server;
  explicit Exporter(const std::string& type)
      : server([page = page, type](const lab::Connection& connection) {
          while (!connection.receive_until("\r\n\r\n").empty()) {
            std::string body = *page->lock();
            if (!connection.send(
                    fmt::format("HTTP/1.1 200 OK\r\nContent-Type: {}\r\nContent-Length: {}\r\n\r\n",
                                type, body.size()) +
                    body)) {
              return;
            }
          }
        }) {}
};

/// The test has no minute to wait until the latency counts.
config::Policy without_warm_up() {
  config::Policy policy;
  policy.warm_up = Duration::zero();
  return policy;
}

/// One of the four ways, with a judge of its own.
struct Way {
  Way(const char* name_, std::string_view kind, const lab::Settings& settings,
      const RequestSeries& series)
      : name(name_), source(kind, settings, series), judge(without_warm_up(), {}) {}

  void round(double t) {
    Collected collected = source.collect();
    trouble = collected.trouble;
    if (!collected.block) return;
    collected.block->t = t;
    requests += collected.block->canary.requests + collected.block->baseline.requests;
    errors += collected.block->canary.errors + collected.block->baseline.errors;
    judge.see(*collected.block);
    if (decided_at == 0 && judge.verdict().kind == expected) decided_at = requests;
  }

  const char* name;
  lab::SourceRunner source;
  canary::Judge judge;
  std::string trouble;
  double requests = 0;
  double errors = 0;
  VerdictKind expected = VerdictKind::Fail;
  double decided_at = 0;  // requests until it said so
};

void send(int socket, int port, const std::vector<std::string>& lines) {
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(static_cast<std::uint16_t>(port));
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  for (const std::string& line : lines) {
    REQUIRE(::sendto(socket, line.data(), line.size(), 0, reinterpret_cast<sockaddr*>(&to),
                     sizeof to) == static_cast<ssize_t>(line.size()));
  }
}

struct Case {
  const char* words;
  int canary_errors;
  double canary_slower;
  VerdictKind expected;
  int rounds_apart;  // at most: a sketch has finer bounds than the histograms
};

}  // namespace

TEST_CASE("one traffic told in four ways comes to the same verdict at the same time") {
  for (const Case& fault : {Case{"errors", 30, 1, VerdictKind::Fail, 0},
                            Case{"slow", 0, 2.5, VerdictKind::Marginal, 2}}) {
    CAPTURE(fault.words);
    Version v1;
    Version v2;
    v1.name = "v1";
    v2.name = "v2";
    Exporter text1("text/plain; version=0.0.4");
    Exporter text2("text/plain; version=0.0.4");
    Exporter native1(lab::kProtobufType);
    Exporter native2(lab::kProtobufType);
    auto show = [&] {
      *text1.page->lock() = v1.text();
      *text2.page->lock() = v2.text();
      *native1.page->lock() = v1.protobuf();
      *native2.page->lock() = v2.protobuf();
    };
    show();
    lab::Prometheus prometheus({{text1.server.address(), {{"pod", "a"}, {"version", "v1"}}},
                                {text2.server.address(), {{"pod", "b"}, {"version", "v2"}}}});
    const RequestSeries series{
        .counter = {"n"}, .error_when = {"code=~\"5..\""}, .errors = {}, .histogram = {"h"}};
    const RequestSeries statsd_series{.counter = {"requests.count"},
                                      .error_when = {},
                                      .errors = {"requests.status{status=~\"5..\"}"},
                                      .histogram = {"requests.duration"},
                                      .latency_unit = 1e-3};
    int port = lab::free_port();
    std::vector<std::unique_ptr<Way>> ways;
    ways.push_back(std::make_unique<Way>("classic", "scrape",
                                         lab::Settings{{"baseline", text1.server.url("/metrics")},
                                                       {"canary", text2.server.url("/metrics")}},
                                         series));
    ways.push_back(std::make_unique<Way>("native", "scrape",
                                         lab::Settings{{"baseline", native1.server.url("/metrics")},
                                                       {"canary", native2.server.url("/metrics")}},
                                         series));
    ways.push_back(std::make_unique<Way>(
        "statsd", "statsd", lab::Settings{{"listen", "127.0.0.1:" + std::to_string(port)}},
        statsd_series));
    ways.push_back(std::make_unique<Way>("prometheus", "prometheus",
                                         lab::Settings{{"url", prometheus.url()},
                                                       {"baseline_when", "version=\"v1\""},
                                                       {"canary_when", "version=\"v2\""},
                                                       {"every", "1s"},
                                                       {"window", "20s"}},
                                         series));

    net::Socket udp(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    REQUIRE(prometheus.shows("count(n)", 4));
    for (auto& way : ways) way->expected = fault.expected;
    for (auto& way : ways) way->round(0);  // the first round only begins to count
    for (int round = 1; round <= 25; ++round) {
      v1.serve(0, 1);
      v2.serve(fault.canary_errors, fault.canary_slower);
      show();
      send(udp.fd(), port, v1.statsd_lines());
      send(udp.fd(), port, v2.statsd_lines());
      REQUIRE(prometheus.shows("sum(n)", v1.served() + v2.served()));
      for (auto& way : ways) way->round(5.0 * round);
    }
    for (auto& way : ways) {
      CAPTURE(way->name);
      CAPTURE(way->trouble);
      CAPTURE(way->judge.verdict().reason);
      CHECK(way->requests == v1.served() + v2.served());
      CHECK(way->errors == 25 * fault.canary_errors);
      CHECK(way->judge.verdict().kind == fault.expected);
      CHECK(std::abs(way->decided_at - ways.front()->decided_at) <=
            fault.rounds_apart * 2 * kRequests);
      CHECK(way->decided_at > 0);
    }
  }
}
