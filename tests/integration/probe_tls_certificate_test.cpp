// The tls_certificate kind against openssl's server and a real PostgreSQL with TLS.

#include <doctest/doctest.h>

#include "lab/postgres.h"
#include "lab/probe.h"
#include "lab/server.h"
#include "lab/tls_server.h"

using namespace davy;
using namespace std::chrono_literals;

namespace {

Outcome ask(const lab::TlsServer& server, lab::Settings more = {}) {
  more.emplace_back("address", server.address());
  more.emplace_back("ca_file", server.dir / "cert");
  if (std::none_of(more.begin(), more.end(), [](auto& s) { return s.first == "server_name"; }))
    more.emplace_back("server_name", "shop.test");
  return lab::run_probe("tls_certificate", more);
}

}  // namespace

TEST_CASE("a certificate with enough time left passes with the seconds that are left") {
  lab::TlsServer server("DNS:shop.test", 40);
  Outcome seen = ask(server);
  CHECK(lab::show(seen).starts_with("pass"));
  CHECK(seen.value > 39 * 86400.0);
  CHECK(seen.value < 41 * 86400.0);
  CHECK(seen.unit == "s");
}

TEST_CASE("a certificate that ends soon warns, then fails, and an ended one fails at once") {
  lab::TlsServer server("DNS:shop.test", 10);
  Outcome warned = ask(server);
  CHECK(warned.kind == Outcome::Kind::Warn);
  CHECK(warned.reason == "expires_soon");
  Outcome failed = ask(server, {{"min_left", "11d"}});
  CHECK(failed.kind == Outcome::Kind::Fail);
  CHECK(failed.reason == "expires_soon");
  CHECK(failed.clear_of_fail < 0);
  lab::TlsServer ended("DNS:shop.test", 0, "20200101000000Z", "20210101000000Z");
  Outcome expired = ask(ended);
  CHECK(expired.reason == "expired");
  CHECK(expired.hard);
}

TEST_CASE("a certificate that begins later is not valid yet") {
  lab::TlsServer server("DNS:shop.test", 0, "20450101000000Z", "20490101000000Z");
  CHECK(ask(server).reason == "not_yet_valid");
}

TEST_CASE("a certificate for another name, or from nobody known, is not trusted unless told so") {
  lab::TlsServer server("DNS:shop.test", 40);
  Outcome other = ask(server, {{"server_name", "other.test"}});
  CHECK(other.reason == "untrusted");
  CHECK(other.hard);
  CHECK(lab::run_probe("tls_certificate", {{"address", server.address()}}).reason == "untrusted");
  CHECK(lab::run_probe("tls_certificate", {{"address", server.address()}, {"trusted", "false"}})
            .kind == Outcome::Kind::Pass);
}

TEST_CASE("PostgreSQL is asked to begin TLS in its own way") {
  lab::TlsServer files("IP:127.0.0.1", 40);
  lab::Postgres server;
  lab::run({{"chown", "-R", "postgres", files.dir.path()}});
  server.start(
      {"ssl=on", "ssl_cert_file=" + (files.dir / "cert"), "ssl_key_file=" + (files.dir / "key")});
  lab::Settings settings{{"address", "127.0.0.1:" + std::to_string(server.port())},
                         {"starttls", "postgres"},
                         {"ca_file", files.dir / "cert"}};
  CHECK(lab::show(lab::run_probe("tls_certificate", settings)).starts_with("pass"));
  server.stop();
  server.start();
  CHECK(lab::run_probe("tls_certificate", settings).reason == "starttls");
}

TEST_CASE("SMTP is asked to begin TLS in its own way") {
  lab::Server refuses(lab::banner("220 mail\r\n250 davy\r\n502 no TLS here\r\n"));
  lab::Settings settings{{"address", refuses.address()}, {"starttls", "smtp"}};
  CHECK(lab::run_probe("tls_certificate", settings).reason == "starttls");
}

TEST_CASE("a mute server, a plain one and nobody at all have reasons of their own") {
  lab::Server mute(lab::mute());
  CHECK(lab::run_probe("tls_certificate", {{"address", mute.address()}}, 300ms).reason ==
        "timeout");
  lab::Server plain(lab::raw("HTTP/1.1 400 Bad Request\r\n\r\n"));
  CHECK(lab::run_probe("tls_certificate", {{"address", plain.address()}}).reason == "tls");
  CHECK(lab::run_probe("tls_certificate",
                       {{"address", plain.address()}, {"ca_file", "/no/such/file"}})
            .reason == "ca_file");
}
