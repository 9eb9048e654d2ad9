// The rules of the two text formats, one row each: what a reader may get wrong.
//
// Prometheus: prometheus.io/docs/instrumenting/exposition_formats (text format 0.0.4) and
// Prometheus' own reader where the page is silent. OpenMetrics: specification 1.0.0, sections 3.2
// to 5.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <string>
#include <vector>

#include "sources/formats/exposition.h"

using namespace davy::source;

namespace {

/// All samples of a page as `name{label="value",...} value`, or what is wrong with it.
struct Shown final : SampleSink {
  std::vector<std::string> series;
  std::string text;
  std::uint32_t intern(std::string_view name, Labels labels) override {
    std::string one(name);
    for (const Label& label : labels) one += fmt::format("|{}={}", label.name, label.value);
    series.push_back(one);
    return static_cast<std::uint32_t>(series.size() - 1);
  }
  void see(std::uint32_t number, double value) override {
    text += fmt::format("{} {}; ", series.at(number), value);
  }
};

std::string shown(const std::string& page, TextFormat format) {
  Shown sink;
  davy::Result<Parsed> parsed = parse_exposition(page, sink, format);
  if (!parsed) return "error";
  std::string text = sink.text;
  if (parsed->malformed > 0) text += fmt::format("malformed {}", parsed->malformed);
  return text;
}

struct Rule {
  const char* rule;
  std::string page;
  const char* expected;
};

}  // namespace

TEST_CASE("every rule of the Prometheus text format holds") {
  const std::vector<Rule> kRules = {
      {"lines end in \\n, the last one as well", "a 1\nb 2", "error"},
      {"empty lines are ignored", "\n\na 1\n\n", "a 1; "},
      {"blanks at the start of a line are ignored", "  \ta 1\n", "a 1; "},
      {"blanks at the end of a line are ignored", "a 1 \t\n", "a 1; "},
      {"tokens are separated by any number of blanks and tabs", "a \t {x=\"1\"} \t 2 \t 3\n",
       "a|x=1 2; "},
      {"a # that is no HELP or TYPE is a comment", "# anything {\na 1\n#\n", "a 1; "},
      {"HELP may hold anything but a line end", "# HELP a A \\\\ and \\n and \"x{\na 1\n", "a 1; "},
      {"TYPE may stand without samples", "# TYPE a counter\n", ""},
      {"a name may hold letters, digits, _ and :", "a_B:9 1\n:a 2\n_ 3\n", "a_B:9 1; :a 2; _ 3; "},
      {"a name does not start with a digit", "9a 1\n", "malformed 1"},
      {"a name holds no other character", "a-b 1\na.b 1\n\xC3\xA4 1\n", "malformed 3"},
      {"labels may be empty", "a{} 1\n", "a 1; "},
      {"a comma may follow the last label", "a{x=\"1\",} 1\n", "a|x=1 1; "},
      {"but not stand alone", "a{,} 1\n", "malformed 1"},
      {"nor twice", "a{x=\"1\",,y=\"2\"} 1\n", "malformed 1"},
      {"blanks may stand around every part of the labels", "a{ x = \"1\" , y = \"2\" } 1\n",
       "a|x=1|y=2 1; "},
      {"a label's name holds no colon", "a{x:y=\"1\"} 1\n", "malformed 1"},
      {"a label's name does not start with a digit", "a{1x=\"1\"} 1\n", "malformed 1"},
      {"labels are separated by commas", "a{x=\"1\" y=\"2\"} 1\n", "malformed 1"},
      {"labels end", "a{x=\"1\" 1\n", "malformed 1"},
      {"a label's value stands in double quotes", "a{x='1'} 1\n", "malformed 1"},
      {"a label's value may be empty", "a{x=\"\"} 1\n", "a|x= 1; "},
      {"a label's value may hold any UTF-8", "a{x=\"\xE2\x82\xAC,}= \"} 1\n",
       "a|x=\xE2\x82\xAC,}=  1; "},
      {"and nothing else", "a{x=\"\xE2\x82\"} 1\na{x=\"\xC0\x80\"} 1\na{x=\"\xED\xA0\x80\"} 1\n",
       "malformed 3"},
      {"\\\\ \\\" and \\n are escapes in a label's value", "a{x=\"\\\\n\\\"\\n\"} 1\n",
       "a|x=\\n\"\n 1; "},
      {"others are not", "a{x=\"\\t\\d\"} 1\n", "a|x=\\t\\d 1; "},
      {"an escaped quote does not end the value", "a{x=\"\\\"} 1\n", "malformed 1"},
      {"an escape is long enough to end at the quote", "a{x=\"123456789012345\\\\\"} 1\n",
       "a|x=123456789012345\\ 1; "},
      {"a value is a float", "a 1.5e3\na -0.25\na +7\na .5\na 5.\n",
       "a 1500; a -0.25; a 7; a 0.5; a 5; "},
      {"NaN and infinities are values", "a NaN\na +Inf\na -Inf\na Inf\n",
       "a nan; a inf; a -inf; a inf; "},
      {"a value must be there", "a\na \na{x=\"1\"}\n", "malformed 3"},
      {"and be one", "a one\na 1,5\na 1_000\na 0x\n", "malformed 4"},
      {"a name must be there", "{x=\"1\"} 1\n 1\n", "malformed 2"},
      {"a timestamp in milliseconds may follow", "a 1 1395066363000\na 2 -3982045\n", "a 1; a 2; "},
      {"nothing else may", "a 1 x\na 1 2 3\na 1 2x\n", "malformed 3"},
      {"# EOF is a comment", "a 1\n# EOF\nb 2\n", "a 1; b 2; "},
      {"a quoted name stands first within the braces (UTF-8 names)",
       "{\"a.b\",x=\"1\"} 2\n{\"a b\"} 3\n", "a.b|x=1 2; a b 3; "},
      {"a label's name may be quoted", "a{\"x.y\"=\"1\",z=\"2\"} 3\n", "a|x.y=1|z=2 3; "},
      {"a name stands only once", "a{\"b\"} 1\n{\"a\",\"b\"} 1\n{x=\"1\",\"a\"} 1\n",
       "malformed 3"},
      {"a bad line costs only itself", "a 1\nb{ 2\nc 3\n", "a 1; c 3; malformed 1"},
  };
  for (const Rule& rule : kRules) {
    CAPTURE(rule.rule);
    CHECK(shown(rule.page, TextFormat::Prometheus) == rule.expected);
  }
}

TEST_CASE("every rule of OpenMetrics holds") {
  const std::vector<Rule> kRules = {
      {"a page ends in # EOF", "a 1\n", "error"},
      {"# EOF is the last line", "a 1\n# EOF\nb 1\n", "error"},
      {"no comment stands behind it", "a 1\n# EOF\n# HELP b x\n", "error"},
      {"an empty page is just that", "# EOF\n", ""},
      {"UNIT, HELP and TYPE tell, and are no samples",
       "# TYPE a_seconds counter\n# UNIT a_seconds seconds\n# HELP a_seconds A.\na_seconds_total "
       "1\n"
       "# EOF\n",
       "a_seconds_total 1; "},
      {"a counter has _total, and may have _created",
       "# TYPE a counter\na_total 17\na_created 1520430000.1\n# EOF\n",
       "a_total 17; a_created 1520430000.1; "},
      {"timestamps are in seconds and may have fractions", "a 1 1520879607.789\na 2 1.5e9\n# EOF\n",
       "a 1; a 2; "},
      {"an exemplar may follow a value", "a_bucket{le=\"1\"} 8 # {trace_id=\"x\"} 0.67\n# EOF\n",
       "a_bucket|le=1 8; "},
      {"and have a timestamp", "a_total 8 # {} 0.67 1520879607.789\n# EOF\n", "a_total 8; "},
      {"and follow a timestamp", "a_total 8 123.5 # {x=\"# {\"} 0.67\n# EOF\n", "a_total 8; "},
      {"an exemplar has labels", "a_total 8 # 0.67\n# EOF\n", "malformed 1"},
      {"a gauge histogram has _gcount and _gsum",
       "# TYPE a gaugehistogram\na_bucket{le=\"+Inf\"} 3\na_gcount 3\na_gsum 1.5\n# EOF\n",
       "a_bucket|le=+Inf 3; a_gcount 3; a_gsum 1.5; "},
      {"a state set has its states as labels", "# TYPE a stateset\na{a=\"on\"} 1\n# EOF\n",
       "a|a=on 1; "},
      {"info is a 1", "# TYPE a info\na_info{version=\"1\"} 1\n# EOF\n", "a_info|version=1 1; "},
      {"values may be unknown", "a NaN\n# EOF\n", "a nan; "},
  };
  for (const Rule& rule : kRules) {
    CAPTURE(rule.rule);
    CHECK(shown(rule.page, TextFormat::OpenMetrics) == rule.expected);
  }
}
