#include "base/helper_wire.h"

#include <doctest/doctest.h>

using namespace davy;
using namespace std::chrono_literals;

namespace {

Options every_type() {
  Options options;
  options.set("text", std::string("a\0b", 3));
  options.set("duration", Duration(250ms));
  options.set("number", 0.05);
  options.set("flag", true);
  options.set("amount", Amount{0.2, true});
  options.set("list", std::vector<std::string>{"a", "", "c"});
  options.hide("text");
  return options;
}

}  // namespace

TEST_CASE("the settings of a probe arrive in a helper as they were sent, hidden ones hidden") {
  wire::Request sent = wire::RunProbe{"disk", every_type(), "data", Time{42s}, true};
  std::optional<wire::Request> got = wire::read_request(wire::write(sent));
  REQUIRE(got);
  const auto& run = std::get<wire::RunProbe>(*got);
  CHECK(run.kind == "disk");
  CHECK(run.check == "data");
  CHECK(run.deadline == Time{42s});
  CHECK(run.is_traced);
  CHECK(run.options.text("text") == std::string("a\0b", 3));
  CHECK(run.options.duration("duration") == 250ms);
  CHECK(run.options.number("number") == 0.05);
  CHECK(run.options.flag("flag"));
  CHECK(run.options.amount("amount").is_ratio);
  CHECK(run.options.amount("amount").value == 0.2);
  CHECK(run.options.list("list") == std::vector<std::string>{"a", "", "c"});
  CHECK(run.options.is_hidden("text"));
  CHECK_FALSE(run.options.is_hidden("list"));
}

TEST_CASE("an outcome comes back from a helper with all that it holds") {
  Outcome outcome = Outcome::failed("low_space", "nearly full", Outcome::kHard)
                        .measured(1e9, "bytes")
                        .clear_by(-0.25, 0.5);
  outcome.blocks_deploy = true;
  outcome.instance = "pid 7 since 99";
  outcome.also = {{"inodes", 12, "1"}, {"share", 0.5, "ratio"}};
  std::optional<wire::Ran> got =
      wire::read_ran(wire::write(wire::Ran{outcome, {{"statvfs", 3ms, "ok"}}}));
  REQUIRE(got);
  CHECK(got->outcome.kind == Outcome::Kind::Fail);
  CHECK(got->outcome.hard);
  CHECK(got->outcome.blocks_deploy);
  CHECK(got->outcome.instance == "pid 7 since 99");
  CHECK(got->outcome.reason == "low_space");
  CHECK(got->outcome.message == "nearly full");
  CHECK(got->outcome.value == 1e9);
  CHECK(got->outcome.unit == "bytes");
  CHECK(got->outcome.clear_of_fail == -0.25);
  CHECK(got->outcome.clear_of_warn == 0.5);
  REQUIRE(got->outcome.also.size() == 2);
  CHECK(got->outcome.also[1].name == "share");
  CHECK(got->outcome.also[1].value == 0.5);
  CHECK(got->outcome.also[1].unit == "ratio");
  REQUIRE(got->phases.size() == 1);
  CHECK(got->phases[0].name == "statvfs");
  CHECK(got->phases[0].took == 3ms);
  CHECK(got->phases[0].note == "ok");
}

TEST_CASE("a looked-up name comes back from a helper") {
  std::optional<wire::LookedUp> got = wire::read_looked_up(
      wire::write(wire::LookedUp{wire::LookedUp::Kind::Found, {"::1", "127.0.0.1"}, ""}));
  REQUIRE(got);
  CHECK(got->kind == wire::LookedUp::Kind::Found);
  CHECK(got->addresses == std::vector<std::string>{"::1", "127.0.0.1"});
  std::optional<wire::Request> name = wire::read_request(wire::write(wire::LookUp{"db"}));
  REQUIRE(name);
  CHECK(std::get<wire::LookUp>(*name).host == "db");
}

TEST_CASE("bytes that were cut, lengthened or changed at any place are read without harm") {
  std::string whole = wire::write(wire::Ran{Outcome::warned("a", "b"), {{"c", 1ms, "d"}}});
  for (std::size_t n = 0; n < whole.size(); ++n) {
    CHECK_FALSE(wire::read_ran(whole.substr(0, n)));
    std::string changed = whole;
    changed[n] = static_cast<char>(changed[n] ^ 0x55);
    wire::read_ran(changed);  // any answer, but no crash
  }
  CHECK_FALSE(wire::read_ran(whole + "x"));
  std::string request = wire::write(wire::RunProbe{"disk", every_type(), "data", Time{1s}, false});
  for (std::size_t n = 0; n < request.size(); ++n) {
    CHECK_FALSE(wire::read_request(request.substr(0, n)));
    std::string changed = request;
    changed[n] = static_cast<char>(changed[n] ^ 0x55);
    wire::read_request(changed);
  }
}

TEST_CASE("requests for files and their answers arrive as they were sent") {
  auto find = wire::read_request(wire::write(wire::Request(wire::FindFiles{"/etc/sd/*.json"})));
  REQUIRE(find);
  CHECK(std::get<wire::FindFiles>(*find).pattern == "/etc/sd/*.json");
  auto read = wire::read_request(wire::write(wire::Request(wire::ReadFile{"/etc/x", 4711})));
  REQUIRE(read);
  CHECK(std::get<wire::ReadFile>(*read).path == "/etc/x");
  CHECK(std::get<wire::ReadFile>(*read).from == 4711);

  files::Stamp stamp{1, 2, 3, -4, 5};
  auto sight = wire::read_sight(wire::write(files::Sight{{{"/etc/x", stamp, true}}, "why"}));
  REQUIRE(sight);
  CHECK(sight->files.at(0).path == "/etc/x");
  CHECK(sight->files.at(0).stamp == stamp);
  CHECK(sight->files.at(0).is_fresh);
  CHECK(sight->trouble == "why");
  std::string bytes = wire::write(files::Part{stamp, std::string("a\0b", 3), ""});
  auto part = wire::read_part(bytes);
  REQUIRE(part);
  CHECK(part->bytes == std::string("a\0b", 3));
  CHECK_FALSE(wire::read_part(bytes.substr(0, bytes.size() - 1)));
}
