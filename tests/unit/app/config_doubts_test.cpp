// Doubts about a config's checks, with the real kinds.

#include <doctest/doctest.h>

#include "config/config.h"

using namespace davy;

namespace {

std::string doubts_of(const std::string& yaml) {
  config::Loaded loaded =
      config::load_text("service: a\n" + yaml, "f", {probe_kinds(), source_kinds()});
  REQUIRE(loaded.config);
  std::string all;
  for (const config::Problem& doubt : config::doubts(*loaded.config, "f"))
    all += doubt.text() + "\n";
  return all;
}

}  // namespace

TEST_CASE("a role that rests on an open port alone is doubted") {
  std::string tcp = "checks:\n  - { name: app, tcp: { address: '127.0.0.1:80' } }\n";
  CHECK(doubts_of(tcp) ==
        "f:3: check app: readiness rests on tcp alone, which passes while an app answers nothing "
        "but errors (add a check that speaks its protocol)\n");
  CHECK(doubts_of(tcp + "  - { name: up, http: { url: 'http://127.0.0.1/up' } }\n").empty());
  CHECK(doubts_of("checks:\n  - { name: app, tcp: { address: '127.0.0.1:25', expect: '220' } }\n")
            .empty());
  CHECK(doubts_of("checks:\n  - { name: app, tcp: { address: '127.0.0.1:80' }, severity: info }\n")
            .empty());
}

TEST_CASE("peers that would never be asked are doubted") {
  std::string peers = "peers: { addresses: ['a:1'], key: 0123456789abcdef }\n";
  std::string disk = "checks:\n  - { name: disk, disk: { path: / } }\n";
  CHECK(doubts_of(peers + disk).find("so they are never asked") != std::string::npos);
  CHECK(doubts_of(peers + disk + "  - { name: db, redis: { url: 'redis://cache/0' } }\n").empty());
}

TEST_CASE("kinds that hardly belong into readiness are doubted there, and nowhere else") {
  std::string migrations =
      "checks:\n  - { name: schema, migrations: { dsn: 'host=/run', tool: rails, expected: '1' }";
  CHECK(doubts_of(migrations + " }\n").find("traffic that goes elsewhere migrates nothing") !=
        std::string::npos);
  CHECK(doubts_of(migrations + ", roles: [deploy, startup] }\n").empty());
  CHECK(doubts_of(migrations + ", severity: degrading }\n").empty());
}
