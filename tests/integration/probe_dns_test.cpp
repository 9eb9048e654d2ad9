// The dns kind against name servers that answer well, badly, wrongly and not at all.

#include <doctest/doctest.h>

#include "lab/dns_server.h"
#include "lab/probe.h"
#include "lab/process.h"

using namespace davy;
using namespace std::chrono_literals;

namespace {

Outcome ask(const std::string& servers, lab::Settings more = {},
            std::chrono::milliseconds limit = 10s) {
  more.emplace_back("name", "db.internal");
  more.emplace_back("servers", servers);
  return lab::run_probe("dns", more, limit);
}

using Answer = lab::DnsServer::Answer;

}  // namespace

TEST_CASE("a name with its addresses passes") {
  lab::DnsServer server({.records = {"10.0.0.7", "10.0.0.8"}});
  CHECK(lab::show(ask(server.address())) == "pass: A db.internal is 10.0.0.7, 10.0.0.8");
}

TEST_CASE("what a server says, and that it says nothing, are told apart") {
  lab::DnsServer server({.rcode = 3});
  Outcome nxdomain = ask(server.address());
  CHECK(nxdomain.reason == "nxdomain");
  CHECK(nxdomain.hard);
  server.answer_from_now_on({.rcode = 2});
  CHECK(ask(server.address()).reason == "servfail");
  CHECK_FALSE(ask(server.address()).hard);
  server.answer_from_now_on({.rcode = 5});
  CHECK(ask(server.address()).reason == "denied");
  server.answer_from_now_on({.rcode = 4});
  CHECK(ask(server.address()).reason == "rcode");
  server.answer_from_now_on({.is_silent = true});
  CHECK(ask(server.address(), {}, 300ms).reason == "timeout");
  CHECK(ask("127.0.0.1:" + std::to_string(lab::free_port())).reason == "refused");
}

TEST_CASE("a question that is lost is asked once more") {
  lab::DnsServer server({.is_silent = true});
  ask(server.address(), {}, 300ms);
  CHECK(server.questions() == 2);
}

TEST_CASE("answers to another question and garbage are not answers") {
  lab::DnsServer server({.records = {"10.0.0.7"}, .has_wrong_id = true});
  CHECK(ask(server.address(), {}, 300ms).reason == "timeout");
  server.answer_from_now_on({.garbage = std::string(300, '\xff')});
  CHECK(ask(server.address(), {}, 300ms).reason == "timeout");
  server.answer_from_now_on({.garbage = "x"});
  CHECK(ask(server.address(), {}, 300ms).reason == "timeout");
}

TEST_CASE("every server must answer well") {
  lab::DnsServer good({.records = {"10.0.0.7"}});
  lab::DnsServer bad({.rcode = 2});
  Outcome seen = ask(good.address() + "\n" + bad.address());
  CHECK(seen.reason == "servfail");
  CHECK(seen.message.find(bad.address()) != std::string::npos);
}

TEST_CASE("too few and other records fail") {
  lab::DnsServer server({.records = {"10.0.0.7"}});
  CHECK(ask(server.address(), {{"min_answers", "2"}}).reason == "too_few");
  CHECK(ask(server.address(), {{"type", "AAAA"}}).reason == "too_few");
  CHECK(ask(server.address(), {{"expect", "10.0.0.7"}}).kind == Outcome::Kind::Pass);
  CHECK(ask(server.address(), {{"expect", "10.0.0.7\n10.0.0.8"}}).reason == "unexpected");
}

TEST_CASE("without servers this system is asked") {
  CHECK(lab::show(lab::run_probe("dns", {{"name", "localhost"}, {"expect", "127.0.0.1"}})) ==
        "pass: A localhost is 127.0.0.1");
  CHECK(lab::run_probe("dns", {{"name", "no-such-host.invalid"}}).reason == "resolve");
}

TEST_CASE("servers by name, and records that only a server can tell, are refused") {
  CHECK(lab::refusal("dns", {{"name", "a"}, {"servers", "ns1.example"}}).find("not the address") !=
        std::string::npos);
  CHECK(lab::refusal("dns", {{"name", "a"}, {"type", "MX"}}) ==
        "type other than A and AAAA needs servers to ask");
}
