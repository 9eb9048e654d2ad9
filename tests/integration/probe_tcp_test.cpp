#include <doctest/doctest.h>

#include "lab/probe.h"
#include "lab/process.h"
#include "lab/server.h"

using namespace davy;
using namespace std::chrono_literals;

TEST_CASE("a port that accepts passes even when nothing is said") {
  lab::Server server(lab::mute());
  Outcome seen = lab::run_probe("tcp", {{"address", server.address()}});
  CHECK(lab::show(seen) == "pass");
  CHECK(seen.unit == "s");
}

TEST_CASE("a port on which nobody listens is refused") {
  std::string address = "127.0.0.1:" + std::to_string(lab::free_port());
  CHECK(lab::show(lab::run_probe("tcp", {{"address", address}})) ==
        "fail refused: connect to " + address + ": refused");
}

TEST_CASE("a name that does not exist does not resolve") {
  CHECK(lab::run_probe("tcp", {{"address", "no-such-host.invalid:80"}}).reason == "resolve");
}

TEST_CASE("an expected banner passes and another is unexpected") {
  lab::Server server(lab::banner("220 mail ready\r\n"));
  CHECK(lab::run_probe("tcp", {{"address", server.address()}, {"expect", "220 "}}).kind ==
        Outcome::Kind::Pass);
  lab::Server other(lab::raw("554 go away\r\n"));
  Outcome seen = lab::run_probe(
      "tcp", {{"address", other.address()}, {"send", "EHLO\r\n"}, {"expect", "220 "}});
  CHECK(lab::show(seen) == "fail unexpected: " + other.address() +
                               ": expected \"220 \", got \"554 go away\\x0d\\x0a\"");
}

TEST_CASE("what is sent arrives and the answer may come in pieces") {
  lab::Server server([](const lab::Connection& peer) {
    if (peer.receive_until("PING\r\n").empty()) return;
    for (const char* piece : {"....", "+PO", "NG\r", "\n"}) peer.send(piece);
    peer.hang();
  });
  CHECK(lab::run_probe(
            "tcp", {{"address", server.address()}, {"send", "PING\r\n"}, {"expect", "+PONG"}}, 10s)
            .kind == Outcome::Kind::Pass);
}

TEST_CASE("a peer that never says what is expected times out at the deadline") {
  lab::Server mute(lab::mute());
  Outcome silent = lab::run_probe("tcp", {{"address", mute.address()}, {"expect", "220"}}, 300ms);
  CHECK(silent.reason == "timeout");
  lab::Server drip(lab::drip("", 50));
  Outcome slow =
      lab::run_probe("tcp", {{"address", drip.address()}, {"send", "x"}, {"expect", "220"}}, 300ms);
  CHECK(slow.reason == "timeout");
  CHECK(slow.message.find("got \"x") != std::string::npos);
}

TEST_CASE("a peer that takes nothing of what is sent times out at the deadline") {
  lab::Server server(lab::mute());
  Outcome seen = lab::run_probe(
      "tcp",
      {{"address", server.address()}, {"send", std::string(64 << 20, 'x')}, {"expect", "ok"}},
      300ms);
  CHECK(seen.reason == "timeout");
}

TEST_CASE("a peer that closes or resets before it has spoken is closed") {
  lab::Server reset(lab::reset());
  CHECK(lab::run_probe("tcp", {{"address", reset.address()}, {"send", "x"}, {"expect", "220"}})
            .reason == "closed");
  lab::Server closing(lab::half_close(""));
  CHECK(lab::run_probe("tcp", {{"address", closing.address()}, {"send", "x"}, {"expect", "220"}})
            .reason == "closed");
}

TEST_CASE("a peer that says too much is unexpected after four kilobytes") {
  lab::Server server(lab::huge(""));
  CHECK(lab::run_probe("tcp", {{"address", server.address()}, {"send", "x"}, {"expect", "220"}})
            .reason == "unexpected");
}
