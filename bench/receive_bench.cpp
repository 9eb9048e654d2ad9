// What an HTTP body of 7 MB costs on its way from the socket to its reader, and a whole scrape of
// it, beside the limit: a loop of recv() on the same bytes. CPU time of the receiving thread; the
// server has its own.

#include <arpa/inet.h>
#include <benchmark/benchmark.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>
#include <zlib.h>

#include <cstring>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <variant>
#include <vector>

#include "net/http_client.h"
#include "net/means.h"
#include "net/socket.h"
#include "sources/formats/page_reader.h"

using namespace davy;

namespace {

/// 50,000 series, as a large exporter shows them at two moments.
const std::string& page(int tick = 0) {
  static const auto write = [](int moment) {
    std::string out;
    for (int i = 0; i < 50'000; ++i) {
      out += fmt::format(
          "http_server_requests_seconds_bucket{{method=\"GET\",route=\"/api/v1/orders/{}\","
          "code=\"200\",pod=\"shop-7f9c4d-x{}\",zone=\"eu-west-1{}\",le=\"0.{}\"}} {}\n",
          i / 10, i % 40, i % 3, i % 10, 100'000 + i * 7919 % 800'003 + moment * (i % 7));
    }
    return out;
  };
  static const std::string texts[] = {write(0), write(1)};
  return texts[tick];
}

std::string chunked(const std::string& body, std::size_t size) {
  std::string out = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n";
  out += "\r\n";
  for (std::size_t at = 0; at < body.size(); at += size) {
    std::string_view chunk = std::string_view(body).substr(at, size);
    out += fmt::format("{:x}\r\n{}\r\n", chunk.size(), chunk);
  }
  return out + "0\r\n\r\n";
}

std::string zipped(const std::string& body) {
  z_stream stream{};
  deflateInit2(&stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY);
  std::string out(deflateBound(&stream, body.size()), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(body.data()));
  stream.avail_in = static_cast<uInt>(body.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  deflate(&stream, Z_FINISH);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

std::string with_length(const std::string& body, const std::string& headers = "") {
  return fmt::format("HTTP/1.1 200 OK\r\n{}Content-Length: {}\r\n\r\n{}", headers, body.size(),
                     body);
}

/// Answers the requests with these bytes, in turn.
class Server {
 public:
  explicit Server(std::vector<std::string> answers) : answers_(std::move(answers)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    auto* generic = reinterpret_cast<sockaddr*>(&address);
    if (::bind(listener_.fd(), generic, size) != 0 || ::listen(listener_.fd(), 4) != 0 ||
        ::getsockname(listener_.fd(), generic, &size) != 0) {
      throw std::runtime_error("the server cannot listen");
    }
    port_ = ntohs(address.sin_port);
    thread_ = std::jthread([this](const std::stop_token& stop) {
      while (!stop.stop_requested()) serve(net::Socket(::accept(listener_.fd(), nullptr, nullptr)));
    });
  }
  ~Server() {
    thread_.request_stop();
    ::shutdown(listener_.fd(), SHUT_RDWR);
  }

  int port() const { return port_; }
  std::size_t answer_size() const { return answers_[0].size(); }

 private:
  void serve(net::Socket peer) const {
    char request[4096];
    for (std::size_t i = 0; peer && ::recv(peer.fd(), request, sizeof request, 0) > 0; ++i) {
      for (std::string_view rest = answers_[i % answers_.size()]; !rest.empty();) {
        ssize_t n = ::send(peer.fd(), rest.data(), rest.size(), MSG_NOSIGNAL);
        if (n <= 0) return;
        rest.remove_prefix(static_cast<std::size_t>(n));
      }
    }
  }

  const std::vector<std::string> answers_;
  net::Socket listener_{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  int port_ = 0;
  std::jthread thread_;
};

/// So that no reading is optimised away.
std::uint64_t glance(std::string_view piece) {
  return piece.empty() ? 0 : static_cast<unsigned char>(piece.back());
}

void raw_receive(benchmark::State& state) {
  Server server({with_length(page(0)), with_length(page(1))});
  net::Means means;
  auto made = net::connect_tcp({"127.0.0.1", server.port()},
                               {Deadline::in(std::chrono::seconds(5)), means});
  net::Socket& socket = std::get<net::Socket>(made);
  std::vector<char> buffer(static_cast<std::size_t>(state.range(0)));
  for (auto _ : state) {
    ::send(socket.fd(), "GET / HTTP/1.1\r\n\r\n", 18, MSG_NOSIGNAL);
    for (std::size_t got = 0; got < server.answer_size();) {
      ssize_t n = ::recv(socket.fd(), buffer.data(), buffer.size(), 0);
      if (n <= 0) return state.SkipWithError("the connection ended");
      got += static_cast<std::size_t>(n);
      benchmark::DoNotOptimize(glance({buffer.data(), static_cast<std::size_t>(n)}));
    }
  }
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(page().size()));
}
BENCHMARK(raw_receive)->Arg(16 << 10)->Arg(128 << 10);

void http_receive(benchmark::State& state, const std::string& answer) {
  Server server({answer});
  net::Means means;
  net::HttpClient client(*net::parse_url(fmt::format("http://127.0.0.1:{}/", server.port())),
                         {.max_body = 32 << 20});
  net::HttpRequest request;
  request.on_body = [](const net::HttpResponse&, std::string_view piece) {
    benchmark::DoNotOptimize(glance(piece));
    return true;
  };
  for (auto _ : state) {
    auto got = client.call(request, {Deadline::in(std::chrono::seconds(5)), means});
    auto* error = std::get_if<net::HttpError>(&got);
    if (error != nullptr) return state.SkipWithError(error->what.c_str());
  }
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(page().size()));
}
BENCHMARK_CAPTURE(http_receive, length, with_length(page()));
BENCHMARK_CAPTURE(http_receive, chunked_4k, chunked(page(), 4096));
BENCHMARK_CAPTURE(http_receive, chunked_32k, chunked(page(), 32 * 1024));
BENCHMARK_CAPTURE(http_receive, gzip, with_length(zipped(page()), "Content-Encoding: gzip\r\n"));

/// From the request to the reading, where a policy wants the series that match.
void whole_scrape(benchmark::State& state, const char* counter) {
  Server server({with_length(page(0)), with_length(page(1))});
  net::Means means;
  net::HttpClient client(*net::parse_url(fmt::format("http://127.0.0.1:{}/", server.port())),
                         {.max_body = 32 << 20});
  source::Rules rules = *source::Rules::compile(
      {.counter = {counter}, .error_when = {"code=~\"5..\""}, .errors = {}, .histogram = {}});
  source::PageReader reader(rules, {{source::Side::Baseline}}, 100'000);
  net::HttpRequest request;
  request.on_body = [&](const net::HttpResponse&, std::string_view piece) {
    reader.feed(piece);
    return true;
  };
  for (auto _ : state) {
    reader.begin("text/plain");
    auto got = client.call(request, {Deadline::in(std::chrono::seconds(5)), means});
    auto* error = std::get_if<net::HttpError>(&got);
    if (error != nullptr) return state.SkipWithError(error->what.c_str());
    Result<source::Reading> reading = reader.finish();
    if (!reading) return state.SkipWithError(reading.error().what.c_str());
    benchmark::DoNotOptimize(reading->counters.size());
  }
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(page().size()));
}
BENCHMARK_CAPTURE(whole_scrape, some_wanted,
                  "http_server_requests_seconds_bucket{le=\"0.5\",zone=\"eu-west-11\"}");
BENCHMARK_CAPTURE(whole_scrape, all_wanted, "http_server_requests_seconds_bucket");

void inflate_alone(benchmark::State& state) {
  const std::string packed = zipped(page());
  std::vector<char> out(64 * 1024);
  for (auto _ : state) {
    z_stream stream{};
    inflateInit2(&stream, 15 + 16);
    stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(packed.data()));
    stream.avail_in = static_cast<uInt>(packed.size());
    int said = Z_OK;
    while (said == Z_OK) {
      stream.next_out = reinterpret_cast<Bytef*>(out.data());
      stream.avail_out = static_cast<uInt>(out.size());
      said = inflate(&stream, Z_NO_FLUSH);
    }
    benchmark::DoNotOptimize(stream.total_out);
    inflateEnd(&stream);
  }
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(page().size()));
}
BENCHMARK(inflate_alone);

}  // namespace
