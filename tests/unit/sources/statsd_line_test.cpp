#include "sources/statsd/line.h"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <random>
#include <string>

using namespace davy;
using namespace davy::source;

namespace {

StatsdMetric metric(std::string_view line) {
  StatsdLine parsed = parse_statsd_line(line);
  if (const auto* wrong = std::get_if<StatsdMalformed>(&parsed)) FAIL(line, ": ", wrong->what);
  REQUIRE(std::holds_alternative<StatsdMetric>(parsed));
  return std::get<StatsdMetric>(parsed);
}

std::string wrong(std::string_view line) {
  StatsdLine parsed = parse_statsd_line(line);
  const auto* malformed = std::get_if<StatsdMalformed>(&parsed);
  return malformed != nullptr ? std::string(malformed->what) : "nothing";
}

double read_number(std::string_view text) {
  double number = -12345;
  return parse_statsd_number(text, number) ? number : -12345;
}

std::string tags(std::string_view line) {
  std::string out;
  for (const Label& tag : metric(line).tags) out += fmt::format("[{}={}]", tag.name, tag.value);
  return out;
}

}  // namespace

TEST_CASE("a line of StatsD has a name, a value and a type") {
  StatsdMetric m = metric("requests.count:1|c");
  CHECK(m.name == "requests.count");
  CHECK(m.values == "1");
  CHECK(m.type == StatsdType::Counter);
  CHECK(m.rate == 1);
  CHECK(m.tags.empty());
  CHECK_FALSE(m.is_dogstatsd);
  CHECK_FALSE(m.has_timestamp);
  CHECK(metric("a:1|g").type == StatsdType::Gauge);
  CHECK(metric("a:1|ms").type == StatsdType::Timer);
  CHECK(metric("a:1|h").type == StatsdType::Histogram);
  CHECK(metric("a:1|d").type == StatsdType::Distribution);
  CHECK(metric("a:user@example.org|s").type == StatsdType::Set);
}

TEST_CASE(
    "the parts after the type may stand in any order, and those of later versions are read over") {
  for (const std::string line :
       {"a:1|c|@0.1|#version:v2,status:500", "a:1|c|#version:v2,status:500|@0.1",
        "a:1|c|@0.1|#version:v2,status:500|c:ci-83c0a99c0a54c0c187f461c7980e9b57f3f6a8b0|"
        "T1656581400",
        "a:1|c|T1656581400|c:in-4026532|e:it-false,cn-web|card:low|@0.1|#version:v2,status:500",
        "a:1|c||@0.1|#version:v2,status:500|", "a:1|c|@1e-1|#version:v2,,status:500,"}) {
    CAPTURE(line);
    CHECK(metric(line).rate == 0.1);
    CHECK(tags(line) == "[version=v2][status=500]");
    CHECK(metric(line).is_dogstatsd);
  }
  CHECK(metric("a:1|c|T1656581400").has_timestamp);
  CHECK_FALSE(metric("a:1|c|@0.5|").is_dogstatsd);
}

TEST_CASE("tags may hold colons, letters of all languages, and no value") {
  CHECK(tags("a:1|c|#url:http://x:80/a,größe:très-grande,緊急,solo") ==
        "[url=http://x:80/a][größe=très-grande][緊急=][solo=]");
  CHECK(tags("a:1|c|#") == "");
  CHECK(tags("a:1|c|#:x") == "");
  CHECK(metric("größe.été:1|c").name == "größe.été");
}

TEST_CASE("one line may hold many values") {
  StatsdMetric m = metric("requests.duration:12:3.5:31|ms|@0.5|#version:v1");
  CHECK(m.values == "12:3.5:31");
  CHECK(m.rate == 0.5);
  CHECK(wrong("a:1:|c") == "the value is no number");
  CHECK(wrong("a:1::2|c") == "the value is no number");
  CHECK(wrong("a::1|c") == "the value is no number");
}

TEST_CASE("numbers are read as decimal fractions, with a sign and an exponent") {
  CHECK(read_number("0") == 0);
  CHECK(read_number("-1") == -1);
  CHECK(read_number("+1") == 1);
  CHECK(read_number("007") == 7);
  CHECK(read_number("12.50") == 12.5);
  CHECK(read_number(".5") == 0.5);
  CHECK(read_number("5.") == 5);
  CHECK(read_number("-0.25") == -0.25);
  CHECK(read_number("1e3") == 1000);
  CHECK(read_number("1.5E-3") == 0.0015);
  CHECK(read_number("123456789012345678901234567890") == 123456789012345678901234567890.0);
  CHECK(read_number("0.1234567890123456789") == 0.1234567890123456789);
  CHECK(read_number("999999999999999.9") == 999999999999999.9);
  for (const std::string text :
       {"",      "-",    "+",   ".",    "-.",  "1x", "x1",    "1 ",  " 1",    "+-1", "--1",
        "1.2.3", "0x10", "inf", "-inf", "nan", "1e", "1e999", "1,5", "1_000", "١"}) {
    CAPTURE(text);
    CHECK(read_number(text) == -12345);
  }
}

TEST_CASE("numbers of up to 15 digits are read at once, to the same double as by strtod") {
  auto read = [](const std::string& text, const std::string& after) {
    std::string line = text + after;
    double number = -12345;
    bool is_short = parse_short_number(std::string_view(line).substr(0, text.size()),
                                       line.data() + line.size(), number);
    return is_short ? number : -12345;
  };
  std::mt19937_64 random(3);
  for (int i = 0; i < 200'000; ++i) {
    std::string text = std::to_string(random() % 1'000'000'000'000'000);
    text.insert(0, random() % 3, '0');
    text.resize(1 + random() % std::min<std::size_t>(text.size(), 15));
    if (random() % 2 == 0) text.insert(random() % (text.size() + 1), ".");
    CAPTURE(text);
    CHECK(read(text, "|ms|#version:v1") == std::strtod(text.c_str(), nullptr));
    CHECK(read(text, "|c") == std::strtod(text.c_str(), nullptr));
  }
  for (const std::string text :
       {"", ".", "1..2", "..1", "-1", "+1", "1e3", "1234567890123456", "0.123456789012345", "1 ",
        " 1", "1:2", "a", "/", ":", "1\x80", "\xb1", "0x1"}) {
    CAPTURE(text);
    CHECK(read(text, "|c|#version:v1") == -12345);
  }
}

TEST_CASE("what is wrong with a line is said") {
  CHECK(wrong("requests.count") == "no colon after a name");
  CHECK(wrong("requests.count|c") == "no colon after a name");
  CHECK(wrong(":1|c") == "no name");
  CHECK(wrong("a|b:1|c") == "a bar in the name");
  CHECK(wrong(std::string("a\0b:1|c", 7)) == "a control character in the name");
  CHECK(wrong("a\tb:1|c") == "a control character in the name");
  CHECK(wrong("a:1") == "no type after the value");
  CHECK(wrong("a:|c") == "no value");
  CHECK(wrong("a:|s") == "no value");
  CHECK(wrong("a:1|") == "the type is none of c, g, ms, h, d, s");
  CHECK(wrong("a:1|x") == "the type is none of c, g, ms, h, d, s");
  CHECK(wrong("a:1|C") == "the type is none of c, g, ms, h, d, s");
  CHECK(wrong("a:1||c") == "the type is none of c, g, ms, h, d, s");
  CHECK(wrong("a:b|c") == "the value is no number");
  CHECK(wrong("a:1|c|@2") == "the sample rate is not from 0.000001 to 1");
  CHECK(wrong("a:1|c|@0") == "the sample rate is not from 0.000001 to 1");
  CHECK(wrong("a:1|c|@-0.5") == "the sample rate is not from 0.000001 to 1");
  CHECK(wrong("a:1|c|@") == "the sample rate is not from 0.000001 to 1");
  CHECK(wrong("a:1|c|@1e-9") == "the sample rate is not from 0.000001 to 1");
  CHECK(wrong("a:1|c|@nan") == "the sample rate is not from 0.000001 to 1");
  CHECK(wrong("a:1|c|Tnow") == "the timestamp is no number of seconds");
  CHECK(wrong("a:1|c|T") == "the timestamp is no number of seconds");
  CHECK(wrong("a:1|c|hello") == "an unknown part after the type");
  std::string tags;
  for (int i = 0; i < 256; ++i) tags += ",t:1";
  CHECK(wrong("a:1|c|#" + tags) == "nothing");
  CHECK(wrong("a:1|c|#" + tags + ",t:1") == "more than 256 tags");
  CHECK(wrong("a:1|c|#" + tags + "|#t:1") == "more than 256 tags");
  CHECK(wrong("a:1|c|#x:\x01") == "a control character in the tags");
  CHECK(wrong("\x80\xff\xfe") == "no colon after a name");
}

TEST_CASE("a service check has a name, a status and perhaps a message") {
  auto check = [](std::string_view line) {
    StatsdLine parsed = parse_statsd_line(line);
    REQUIRE(std::holds_alternative<StatsdServiceCheck>(parsed));
    return std::get<StatsdServiceCheck>(parsed);
  };
  StatsdServiceCheck full =
      check("_sc|Redis connection|2|d:1656581400|h:web-1|#env:dev,a:b|m:timed out | after 10s");
  CHECK(full.name == "Redis connection");
  CHECK(full.status == StatsdServiceCheck::Status::Critical);
  CHECK(full.message == "timed out | after 10s");
  CHECK(check("_sc|a|0").status == StatsdServiceCheck::Status::Ok);
  CHECK(check("_sc|a|1").status == StatsdServiceCheck::Status::Warning);
  CHECK(check("_sc|a|3|#x").status == StatsdServiceCheck::Status::Unknown);
  CHECK(check("_sc|a|0|m:").message == "");
  CHECK(wrong("_sc||0") == "a service check without a proper name");
  CHECK(wrong("_sc|") == "a service check without a proper name");
  CHECK(wrong("_sc|a") == "a service check whose status is none of 0, 1, 2, 3");
  CHECK(wrong("_sc|a|4") == "a service check whose status is none of 0, 1, 2, 3");
  CHECK(wrong("_sc|a|ok") == "a service check whose status is none of 0, 1, 2, 3");
}

TEST_CASE("an event is known by its lengths, in bytes") {
  for (const std::string line :
       {"_e{5,4}:title|text", "_e{5,4}:title|text|d:1|h:web|p:low|t:error|#a:b",
        "_e{5,9}:ti|le|text|text|#x", "_e{7,0}:größe|", "_e{3,2}:a:b|x:"}) {
    CAPTURE(line);
    CHECK(wrong(line) == "nothing");
    CHECK(std::holds_alternative<StatsdEvent>(parse_statsd_line(line)));
  }
  for (const std::string line :
       {"_e{", "_e{5,4}", "_e{5,4}:", "_e{5,4}:title", "_e{5,4}:title|tex", "_e{5,4}:title|texts",
        "_e{0,4}:|text", "_e{-1,4}:title|text", "_e{5}:title|text", "_e{5,4:title|text",
        "_e{99999999999999999999,1}:a|b", "_e{18446744073709551615,1}:a|b",
        "_e{1,18446744073709551615}:a|b"}) {
    CAPTURE(line);
    CHECK(wrong(line) == "an event whose lengths do not fit it");
  }
  std::string_view longer = "_e{5,6}:title|text12|";
  CHECK(wrong(longer.substr(0, longer.size() - 3)) == "an event whose lengths do not fit it");
  CHECK(metric("_event:1|c").name == "_event");
}
