#include "sources/selector.h"

#include <doctest/doctest.h>

using namespace davy;
using namespace davy::source;

namespace {

const std::vector<Label> kLabels = {{"code", "503"}, {"method", "GET"}};

bool matches(const char* matchers) {
  Result<Matchers> parsed = Matchers::parse(matchers);
  if (!parsed) MESSAGE(parsed.error().what);
  REQUIRE(parsed);
  return parsed->match(kLabels);
}

}  // namespace

TEST_CASE("all matchers of a list must hold") {
  CHECK(matches(R"(code="503")"));
  CHECK(matches(R"(code=~"5..",method!="POST")"));
  CHECK_FALSE(matches(R"(code=~"5..",method!="GET")"));
  CHECK(matches(R"(code!~"2..|3..")"));
  CHECK(matches(R"( code = '503' , )"));
}

TEST_CASE("a pattern must match the whole value") {
  CHECK_FALSE(matches(R"(code=~"50")"));
  CHECK_FALSE(matches(R"(code=~"03")"));
  CHECK(matches(R"(code=~"\d+")"));
}

TEST_CASE("a label that is not there is empty") {
  CHECK(matches(R"(zone="")"));
  CHECK_FALSE(matches(R"(zone!="")"));
  CHECK_FALSE(matches(R"(zone=~".+")"));
  CHECK(matches(R"(zone!~".+")"));
}

TEST_CASE("a selector has a name and perhaps matchers") {
  Result<Selector> plain = Selector::parse("http_requests_total");
  REQUIRE(plain);
  CHECK(plain->match("http_requests_total", kLabels));
  CHECK_FALSE(plain->match("http_requests", kLabels));
  Result<Selector> with = Selector::parse(R"( a:b{code="503", method=~"G.*",} )");
  REQUIRE(with);
  CHECK(with->name == "a:b");
  CHECK(with->match("a:b", kLabels));
  CHECK_FALSE(with->match("a:b", {}));
  CHECK(Selector::parse("a{}"));
}

TEST_CASE("quotes and backslashes in values are read as in PromQL") {
  std::vector<Label> labels = {{"path", "a\"b\\c\nd"}};
  Result<Matchers> parsed = Matchers::parse(R"(path="a\"b\\c\nd")");
  REQUIRE(parsed);
  CHECK(parsed->match(labels));
}

TEST_CASE("what is wrong with a selector is told with its place") {
  CHECK(Selector::parse("1a").error().what ==
        "\"1a\" is not a selector: at character 1 stands \"1\", expected is a name such as "
        "http_requests_total");
  CHECK(Selector::parse("a b").error().what ==
        "\"a b\" is not a selector: at character 3 stands \"b\", expected is { or the end");
  CHECK(
      Selector::parse("a{code").error().what ==
      "\"a{code\" is not a selector: at character 7 stands the end, expected is one of = != =~ !~");
  CHECK(Selector::parse("a{code=5}").error().what ==
        "\"a{code=5}\" is not a selector: at character 8 stands \"5\", expected is a value in "
        "quotes");
  CHECK(Selector::parse("a{code=\"5}").error().what.find("expected is the closing quote") !=
        std::string::npos);
  CHECK(Selector::parse("a{code=\"5\"")
            .error()
            .what.find("stands the end, expected is a comma or }") != std::string::npos);
  CHECK(Matchers::parse("").error().what.find("expected is a matcher such as") !=
        std::string::npos);
  CHECK(Matchers::parse("code=\"5\" x").error().what.find("expected is a comma or the end") !=
        std::string::npos);
  CHECK(
      Matchers::parse("code=~\"5(\"").error().what ==
      "\"code=~\\\"5(\\\"\" is not a selector: the pattern at character 7 is wrong: missing ): 5( "
      "(RE2 syntax, the whole value must match)");
}

TEST_CASE("a pattern that would take too much memory is refused") {
  CHECK_FALSE(Matchers::parse("a=~\"((x{100}){100}){100}\""));
}

TEST_CASE("names may hold dots and dashes, or stand in quotes") {
  Result<Selector> statsd = Selector::parse(R"(shop.requests-2{status-class="5xx"})");
  REQUIRE(statsd);
  CHECK(statsd->name == "shop.requests-2");
  CHECK(Selector::parse(".a").error().what.find("a name such as") != std::string::npos);
  for (const char* text :
       {R"({"http.server.requests", code="503"})", R"({code="503", "http.server.requests",})",
        R"( { __name__ = "http.server.requests", "code"='503' } )"}) {
    CAPTURE(text);
    Result<Selector> quoted = Selector::parse(text);
    REQUIRE(quoted);
    CHECK(quoted->name == "http.server.requests");
    CHECK(quoted->match("http.server.requests", kLabels));
    CHECK_FALSE(quoted->match("http.server.requests", {}));
  }
  CHECK(Selector::parse(R"({"a"})")->matchers.promql() == "");
  CHECK(Selector::parse(R"({code="5"})").error().what.find("a name in the braces") !=
        std::string::npos);
  CHECK_FALSE(Selector::parse(R"({"a", "b"})"));
  CHECK_FALSE(Selector::parse(R"(a{"b"})"));
  CHECK_FALSE(Matchers::parse(R"("a")"));
}

TEST_CASE("matchers are written back as a Prometheus reads them") {
  auto written = [](const char* text) { return Matchers::parse(text)->promql(); };
  CHECK(written(R"( code =~ '5..' , method!="GET",)") == R"(code=~"5..",method!="GET")");
  CHECK(written(R"(code!~"\d+")") == R"(code!~"\\d+")");
  CHECK(written(R"(path="a\"b\\c\nd")") == R"(path="a\"b\\c\nd")");
  CHECK(written(R"("http.status"="200",x-y="1",a:b="2")") ==
        R"("http.status"="200","x-y"="1","a:b"="2")");
  for (const char* text : {R"(a=~"\\d\.x|\"",b!="\n\\")", R"("ä.b"!~'x\'y')"}) {
    std::string once = written(text);
    CHECK(written(once.c_str()) == once);
  }
}

TEST_CASE("names are asked for by a matcher that every server knows") {
  CHECK(promql_of_names({"http_requests_total"}) == R"(__name__="http_requests_total")");
  CHECK(promql_of_names({"a", "http.server-x", "b:c"}) == R"(__name__=~"a|http\\.server-x|b:c")");
}
