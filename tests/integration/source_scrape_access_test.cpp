// What targets want to see before they tell their metrics: users, tokens, certificates; and where
// they listen.

#include <doctest/doctest.h>

#include <cstdio>
#include <filesystem>

#include "lab/process.h"
#include "lab/scraped.h"
#include "lab/source.h"
#include "lab/tls_server.h"

using namespace davy;
using namespace std::chrono_literals;

namespace {

/// Tells its metrics only to whoever shows this header, and 401 to others.
struct Guarding {
  explicit Guarding(const std::string& header) : wanted(header) {}
  void want(const std::string& header) { *wanted.lock() = header; }

  Guarded<std::string> wanted;
  lab::Scraped server{[this](const std::string& head) {
    bool is_known = head.find("\r\n" + *wanted.lock() + "\r\n") != std::string::npos;
    return is_known ? lab::answer_of(200, lab::page_of(1, 0)) : lab::answer_of(401, "who?");
  }};
};

bool holds(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

void replace_file(const std::string& path, const std::string& content) {
  lab::write_file(path + ".new", content);
  REQUIRE(std::rename((path + ".new").c_str(), path.c_str()) == 0);
}

std::string refusal(lab::Settings more) {
  auto made =
      lab::make_source("scrape", lab::Scraping::with("http://a/", "http://b/", std::move(more)),
                       lab::Scraping::kSeries);
  return made ? "" : made.error().setting + ": " + made.error().what;
}

/// A page of metrics as a file of a server's directory. The server does one connection at a time.
void serve_page(const lab::TlsServer& server) {
  lab::write_file(server.dir / "metrics",
                  lab::answer_of(200, lab::page_of(1, 0), "Connection: close\r\n"));
}

}  // namespace

TEST_CASE("a target that wants a user and a password is shown them") {
  Guarding guarding("Authorization: Basic ZGF2eTpodW50ZXIy");  // davy:hunter2
  auto round = [&](const std::string& password) {
    return lab::Scraping(guarding.server.url("/1"), guarding.server.url("/2"),
                         {{"username", "davy"}, {"password", password}})
        .collect();
  };
  CHECK(round("hunter2").trouble == "");
  Collected refused = round("hunter3");
  CHECK(refused.baseline_targets == 0);
  CHECK(holds(refused.trouble, "answered 401 (200 would be right, and it wants to know who asks)"));
  CHECK_FALSE(holds(refused.trouble, "hunter3"));
  CHECK(lab::times(refused, "scrape_failed") == 2);
}

TEST_CASE("a token and headers of one's own are shown") {
  Guarding guarding("Authorization: Bearer abc.def");
  CHECK(lab::Scraping(guarding.server.url("/1"), guarding.server.url("/2"),
                      {{"bearer_token", "abc.def"}})
            .collect()
            .trouble == "");
  guarding.want("X-Tenant: shop");
  CHECK(lab::Scraping(guarding.server.url("/1"), guarding.server.url("/2"),
                      {{"headers", "X-Other: 1\nX-Tenant:shop"}})
            .collect()
            .trouble == "");
}

TEST_CASE("a token file that rotates is read again, and a broken one leaves the token that was") {
  lab::TempDir dir;
  std::string file = dir / "token";
  lab::write_file(file, "first\n");
  Guarding guarding("Authorization: Bearer first");
  lab::Scraping scrape(guarding.server.url("/1"), guarding.server.url("/2"),
                       {{"bearer_token_file", file}});
  CHECK(scrape.collect().trouble == "");

  guarding.want("Authorization: Bearer second");
  CHECK(scrape.collect().baseline_targets == 0);
  replace_file(file, "second");
  CHECK(scrape.collect().baseline_targets == 1);

  for (const char* broken : {"", "second\nhunter2\n"}) {
    lab::write_file(file, broken);
    Collected kept = scrape.collect();
    CHECK(kept.baseline_targets == 1);
    CHECK(kept.trouble.starts_with(file + ": holds "));
    CHECK_FALSE(holds(kept.trouble, "hunter2"));
    CHECK(lab::times(kept, "credentials_broken") == 1);
  }
  std::filesystem::remove(file);
  Collected gone = scrape.collect();
  CHECK(gone.baseline_targets == 1);
  CHECK(holds(gone.trouble, file + ": No such file or directory"));
  lab::write_file(file, "second");
  CHECK(scrape.collect().trouble == "");
}

TEST_CASE("without a token nobody is asked, and why there is none is told") {
  lab::TempDir dir;
  Guarding guarding("Authorization: Bearer x");
  lab::Scraping scrape(guarding.server.url("/1"), guarding.server.url("/2"),
                       {{"bearer_token_file", dir / "token"}});
  Collected first = scrape.collect();
  CHECK(first.baseline_targets == 0);
  CHECK(holds(first.trouble, "canary " + guarding.server.url("/2") +
                                 ": not asked, as there is no token to show: " + (dir / "token") +
                                 ": No such file or directory"));
  CHECK(guarding.server.requests().empty());
}

TEST_CASE("who is redirected elsewhere does not go there with its token") {
  lab::Scraped elsewhere;
  elsewhere.count(1, 0);
  lab::Scraped redirecting([&](const std::string&) {
    return lab::answer_of(302, "", "Location: " + elsewhere.url() + "\r\n");
  });
  Collected first =
      lab::Scraping(redirecting.url("/1"), redirecting.url("/2"), {{"bearer_token", "hunter2"}})
          .collect();
  CHECK(holds(first.trouble, "answered 302 (200 would be right, and redirects are not followed)"));
  CHECK_FALSE(holds(first.trouble, "hunter2"));
  CHECK(elsewhere.connections() == 0);
}

TEST_CASE("a token in a URL's query is in no message") {
  lab::Scraped target([](const std::string&) { return lab::answer_of(500, ""); });
  Collected first =
      lab::Scraping(target.url("/1?token=hunter2"), target.url("/2?token=hunter2"), {}).collect();
  CHECK(holds(first.trouble, "canary " + target.url("/2") + ": answered 500"));
  CHECK_FALSE(holds(first.trouble, "hunter2"));
}

TEST_CASE("a certificate is trusted by the authority that ca_file names, for its own name only") {
  lab::TlsServer server = lab::TlsServer::of_files("DNS:shop.test,IP:127.0.0.1");
  serve_page(server);
  std::string url = server.url("127.0.0.1", "metrics");
  auto round = [&](lab::Settings more) {
    return lab::Scraping(url, url + "?", std::move(more)).collect();
  };
  Collected untrusted = round({});
  CHECK(untrusted.baseline_targets == 0);
  CHECK(holds(untrusted.trouble, "the certificate is not trusted for \"127.0.0.1\""));
  CHECK(round({{"ca_file", server.dir / "cert"}}).trouble == "");
  CHECK(round({{"verify_tls", "false"}}).trouble == "");
  CHECK(round({{"ca_file", server.dir / "cert"}, {"server_name", "shop.test"}}).trouble == "");
  CHECK(holds(round({{"ca_file", server.dir / "cert"}, {"server_name", "other.test"}}).trouble,
              "not trusted for \"other.test\""));
}

TEST_CASE("a server that wants certificates is shown ours, also when its files are replaced") {
  lab::TempDir ours;
  lab::TempDir strangers;
  lab::make_certificate(ours, "davy");
  lab::make_certificate(strangers, "stranger");
  lab::TempDir dir;
  std::filesystem::copy(strangers / "cert", dir / "cert");
  std::filesystem::copy(strangers / "key", dir / "key");
  lab::TlsServer server = lab::TlsServer::of_files("IP:127.0.0.1", ours / "cert");
  serve_page(server);
  std::string url = server.url("127.0.0.1", "metrics");
  lab::Scraping scrape(
      url, url + "?",
      {{"ca_file", server.dir / "cert"}, {"cert_file", dir / "cert"}, {"key_file", dir / "key"}});
  CHECK(scrape.collect().baseline_targets == 0);

  std::filesystem::rename(dir / "key", dir / "old");  // halfway through, nothing changes
  Collected halfway = scrape.collect();
  CHECK(holds(halfway.trouble, (dir / "key") + ": No such file or directory"));
  std::filesystem::copy(ours / "key", dir / "key");
  Collected mismatch = scrape.collect();
  CHECK(holds(mismatch.trouble, (dir / "key") + ": key values mismatch"));
  CHECK(lab::times(mismatch, "credentials_broken") == 1);
  std::filesystem::copy_file(ours / "cert", dir / "cert",
                             std::filesystem::copy_options::overwrite_existing);
  Collected replaced = scrape.collect();
  CHECK(replaced.trouble == "");
  CHECK(replaced.baseline_targets == 1);
  CHECK(replaced.canary_targets == 1);
}

TEST_CASE("files for TLS that hold none of it are told, and nobody is asked") {
  lab::TempDir dir;
  lab::write_file(dir / "ca", "no certificate\n");
  Collected first =
      lab::Scraping("https://127.0.0.1:1/1", "https://127.0.0.1:1/2", {{"ca_file", dir / "ca"}})
          .collect();
  CHECK(holds(first.trouble, "not asked, as TLS cannot start: " + (dir / "ca") + ": "));
}

TEST_CASE("targets on Unix sockets are asked there") {
  lab::TempDir dir;
  lab::Scraped v1(dir / "v1.sock");
  lab::Scraped v2(dir / "v2.sock");
  v1.count(0, 0);
  v2.count(0, 0);
  auto url = [&](const std::string& name) {
    std::string path = dir / name;
    std::string coded;
    for (char c : path) coded += c == '/' ? std::string("%2F") : std::string(1, c);
    return "http+unix://" + coded + "/metrics";
  };
  lab::Scraping scrape(url("v1.sock"), url("v2.sock"), {});
  CHECK(scrape.collect().trouble == "");
  v1.count(10, 0);
  v2.count(3, 1);
  Collected second = scrape.collect();
  REQUIRE(second.block);
  CHECK(second.block->baseline.requests == 10);
  CHECK(second.block->canary.errors == 1);
  CHECK(second.block->canary.pods.at(0).id == dir / "v2.sock");
  CHECK(v1.connections() == 1);
  CHECK(holds(v1.requests().at(0), "\r\nHost: localhost\r\n"));

  Collected refused = lab::Scraping(url("v1.sock"), url("none.sock"), {}).collect();
  CHECK(holds(refused.trouble, "connect to " + (dir / "none.sock") + ": No such file"));
}

TEST_CASE("settings that contradict each other are refused, and no secret is repeated") {
  CHECK(refusal({{"username", "a"}, {"bearer_token", "hunter2"}}) ==
        "bearer_token: stands beside username (one way to say who davy is)");
  CHECK(refusal({{"bearer_token", "hunter2"}, {"bearer_token_file", "/x"}}) ==
        "bearer_token_file: stands beside bearer_token (one way to say who davy is)");
  CHECK(holds(refusal({{"headers", "authorization: x"}, {"username", "a"}}),
              "username: stands beside the header Authorization"));
  CHECK(refusal({{"password", "hunter2"}}) == "password: needs a username beside it");
  CHECK(holds(refusal({{"username", "a:b"}, {"password", "hunter2"}}), "username: holds a colon"));
  CHECK(holds(refusal({{"headers", "hunter2"}}), "headers: has a line that is not a header"));
  CHECK(holds(refusal({{"cert_file", "/x"}}), "cert_file: cert_file and key_file belong together"));
  for (const lab::Settings& settings :
       {lab::Settings{{"bearer_token", "hunter2 x"}}, lab::Settings{{"bearer_token", "hunter2\n2"}},
        lab::Settings{{"username", "a"}, {"password", "hunter2\n"}}}) {
    CHECK(refusal(settings) != "");
    CHECK_FALSE(holds(refusal(settings), "hunter2"));
  }
}
