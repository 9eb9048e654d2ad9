#include "sources/prometheus/json.h"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <bit>
#include <cmath>
#include <cstdlib>
#include <map>
#include <random>

#include "fuzz/promjson_oracle.h"

using namespace davy;
using namespace davy::source;
using namespace davy::fuzz;

namespace {

/// Writes answers as no server would, but as JSON allows.
class Writer {
 public:
  explicit Writer(std::uint64_t seed) : random_(seed) {}

  std::string answer() {
    bool is_range = chance(2);
    std::vector<std::string> series;
    for (int n = below(5); n > 0; --n) series.push_back(this->series(is_range));
    std::string data =
        object({{"resultType", is_range ? "\"matrix\"" : "\"vector\""}, {"result", list(series)}});
    return space() +
           object({{"status", "\"success\""}, {"data", data}, {"warnings", list({text()})}}) +
           space();
  }

 private:
  bool chance(int one_in) { return below(one_in) == 0; }
  int below(int n) { return static_cast<int>(random_() % static_cast<std::uint64_t>(n)); }

  std::string space() {
    std::string out;
    while (chance(4)) out += " \n\t\r"[below(4)];
    return out;
  }

  using Members = std::vector<std::pair<std::string, std::string>>;
  /// In any order, with some that nobody knows.
  std::string object(Members members) {
    while (chance(3)) members.emplace_back("x" + std::to_string(members.size()), unknown(3));
    std::shuffle(members.begin(), members.end(), random_);
    std::string out = "{" + space();
    for (std::size_t i = 0; i < members.size(); ++i) {
      out += (i > 0 ? "," + space() : "") + quoted(members[i].first) + space() + ":" + space() +
             members[i].second + space();
    }
    return out + "}";
  }
  std::string list(const std::vector<std::string>& items) {
    std::string out = "[" + space();
    for (std::size_t i = 0; i < items.size(); ++i)
      out += (i > 0 ? "," + space() : "") + items[i] + space();
    return out + "]";
  }
  std::string unknown(int depth) {
    switch (below(depth == 0 ? 4 : 6)) {
      case 0: return "null";
      case 1: return chance(2) ? "true" : "false";
      case 2: return number();
      case 3: return text();
      case 4: return list({unknown(depth - 1), unknown(depth - 1)});
      default: return object({{"status", unknown(depth - 1)}});
    }
  }

  std::string text() {
    std::string plain;
    constexpr std::string_view kSome[] = {
        "a",   "Z9", "\"", "\\", "/", "\n", "\x1f", "ä", "€", "😀", "{", "]", "shop-7f9c4d-x",
        "pod", " "};
    while (!chance(5)) plain += kSome[below(std::size(kSome))];
    return quoted(plain);
  }
  /// With escapes where they must be, and elsewhere sometimes.
  std::string quoted(const std::string& plain) {
    std::string out = "\"";
    for (std::size_t i = 0; i < plain.size(); ++i) {
      auto c = static_cast<unsigned char>(plain[i]);
      if (plain.substr(i, 4) == "😀" && chance(2)) {
        out += chance(2) ? "\\uD83D\\uDE00" : "\\ud83d\\ude00";
        i += 3;
      } else if (c < 0x20 || (c < 0x80 && chance(12))) {
        out += fmt::format("\\u{:04x}", c);
      } else if (c == '"' || c == '\\' || (c == '/' && chance(2))) {
        out += std::string("\\") + plain[i];
      } else {
        out += plain[i];
      }
    }
    return out + "\"";
  }

  std::string number() {
    switch (below(6)) {
      case 0: return "0";
      case 1: return fmt::format("{:.3f}", 1795164886.911 + below(100000) / 8.0);
      case 2: return std::to_string(random_());
      case 3: return fmt::format("-{}.{:06}", below(1000), below(1000000));
      case 4: return fmt::format("{}{}{}", below(100), chance(2) ? "e+" : "E-", below(30));
      default: return fmt::format("{}", std::generate_canonical<double, 53>(random_));
    }
  }
  std::string time() { return chance(3) ? number() : fmt::format("1795164{}.5", below(3)); }
  std::string value() {
    constexpr std::string_view kOdd[] = {"NaN", "+Inf", "-Inf", "1e+06", "-0", "00012", "5e-324"};
    if (chance(5)) return "\"" + std::string(kOdd[below(std::size(kOdd))]) + "\"";
    double any = std::bit_cast<double>(random_());
    if (chance(5) && std::isfinite(any)) return fmt::format("\"{}\"", any);
    return "\"" + number() + "\"";
  }
  std::string sample() { return list({time(), value()}); }
  std::string histogram() {
    std::vector<std::string> buckets;
    for (int n = below(4); n > 0; --n)
      buckets.push_back(list({std::to_string(below(4)), value(), value(), value()}));
    Members members = {{"count", value()}, {"sum", value()}};
    if (!buckets.empty()) members.emplace_back("buckets", list(buckets));
    return list({time(), object(members)});
  }

  std::string series(bool is_range) {
    Members labels;
    for (int n = below(6); n > 0; --n)
      labels.emplace_back("l" + std::to_string(labels.size()), text());
    std::shuffle(labels.begin(), labels.end(), random_);
    Members members = {{"metric", plain_object(labels)}};
    if (!is_range) {
      if (chance(3))
        members.emplace_back("histogram", histogram());
      else
        members.emplace_back("value", sample());
      return object(members);
    }
    std::vector<std::string> samples, histograms;
    for (int n = below(9); n > 0; --n) samples.push_back(sample());
    for (int n = below(3); n > 0; --n) histograms.push_back(histogram());
    members.emplace_back("values", list(samples));
    if (!histograms.empty()) members.emplace_back("histograms", list(histograms));
    return object(members);
  }
  std::string plain_object(const Members& members) {
    std::string out = "{";
    for (const auto& [name, value] : members)
      out += (out.size() > 1 ? "," : "") + quoted(name) + ":" + space() + value;
    return out + "}";
  }

  std::mt19937_64 random_;
};

std::string refusal(const std::string& body) {
  Kept kept;
  Result<PromAnswer> answer = read_prom_answer(body, kept);
  return answer ? "" : answer.error().what;
}

std::string matrix(const std::string& series) {
  return R"({"status":"success","data":{"resultType":"matrix","result":[)" + series + "]}}";
}

}  // namespace

TEST_CASE("an instant vector is read, with its labels and values") {
  Kept kept;
  Result<PromAnswer> answer =
      read_prom_answer(R"({"status":"success","data":{"resultType":"vector","result":[{"metric":)"
                       R"({"__name__":"up","job":"shop"},"value":[1795164886.911,"1"]},)"
                       R"({"metric":{},"value":[1,"NaN"]}]},"warnings":["slow","old"]})",
                       kept);
  REQUIRE(answer);
  CHECK(answer->is_success);
  CHECK(answer->type == PromAnswer::Type::Vector);
  CHECK(answer->warnings == std::vector<std::string>{"slow", "old"});
  REQUIRE(kept.all.size() == 2);
  CHECK(kept.all[0].labels ==
        std::map<std::string, std::string>{{"__name__", "up"}, {"job", "shop"}});
  CHECK(kept.all[0].samples.at(0) == std::pair(bits(1795164886.911), bits(1)));
  CHECK(kept.all[1].samples.at(0).second == bits(std::nan("")));
}

TEST_CASE("native histograms are read in both kinds of answers") {
  std::string sample =
      R"([1.5,{"count":"42","sum":"-1.5","buckets":[[3,"-0.25","0.25","3"],[0,"0.25","0.5","39"]]}])";
  Kept kept;
  Result<PromAnswer> answer = read_prom_answer(
      R"({"status":"success","data":{"resultType":"vector","result":[{"metric":{},"histogram":)" +
          sample + "}]}}",
      kept);
  REQUIRE(answer);
  std::vector<std::uint64_t> flat;
  for (double d : {1.5, 42.0, -1.5, 3.0, -0.25, 0.25, 3.0, 0.0, 0.25, 0.5, 39.0})
    flat.push_back(bits(d));
  CHECK(kept.all.at(0).histograms.at(0) == flat);
  REQUIRE(read_prom_answer(
      matrix(R"({"metric":{},"values":[[1,"2"]],"histograms":[)" + sample + "," + sample + "]}"),
      kept));
  CHECK(kept.all.at(0).histograms == std::vector{flat, flat});
  CHECK(kept.all.at(0).samples.size() == 1);
}

TEST_CASE("scalars and errors are read, and what a partial answer says of itself") {
  Kept kept;
  Result<PromAnswer> scalar = read_prom_answer(
      R"({"status":"success","data":{"result":[1795164886.9,"5"],"resultType":"scalar"}})", kept);
  REQUIRE(scalar);
  CHECK(scalar->scalar == PromSample{1795164886.9, 5});
  Result<PromAnswer> failed = read_prom_answer(
      R"({"status":"error","errorType":"bad_data","error":"1:3: parse error \u00e4"})", kept);
  REQUIRE(failed);
  CHECK_FALSE(failed->is_success);
  CHECK(failed->error_type == "bad_data");
  CHECK(failed->error == "1:3: parse error ä");
  CHECK(read_prom_answer(R"({"status":"error","data":null})", kept));
  Result<PromAnswer> partial = read_prom_answer(
      R"({"status":"success","isPartial":true,"data":{"resultType":"vector","result":[]},)"
      R"("stats":{"seriesFetched":"0"}})",
      kept);
  REQUIRE(partial);
  CHECK(partial->is_partial);
  CHECK(kept.all.empty());
  CHECK(kept.begun == 4);
}

TEST_CASE("numbers are read to the last bit") {
  for (const char* text : {"0",
                           "0.1",
                           "9007199254740993",
                           "18446744073709551616",
                           "184467440737095516160",
                           "0.3",
                           "123456789012345678",
                           "99999999999999999999",
                           "1.7976931348623157e+308",
                           "5e-324",
                           "0.000001234567890123456789",
                           "1795164886.911",
                           "12345678",
                           "123456789",
                           "1234567890123456",
                           "12345678901234567",
                           "0.1234567890123456",
                           "12345678.12345678",
                           "1.00000000000000000000",
                           "9007199254740992.5",
                           "000000000000000000000012",
                           "-7.25"}) {
    CAPTURE(text);
    Kept kept;
    // The long tail lets the quick way read it, too.
    for (const char* tail : {"",
                             "                                                              "
                             "                                                              "}) {
      REQUIRE(read_prom_answer(
          matrix(fmt::format(R"({{"metric":{{}},"values":[[1795164886.911,"{}"]]}})", text)) + tail,
          kept));
      CHECK(kept.all.at(0).samples.at(0) == std::pair(bits(1795164886.911), bits_of_text(text)));
    }
  }
}

TEST_CASE("times that repeat from series to series are not mistaken for one another") {
  std::string series;
  std::vector<double> times;
  for (const char* time :
       {"1795164886.911", "1795164886.911", "1795164886.91", "179516488.911", "1795164887.911",
        "1795164887", "17951648", "179516488", "1795164886.9110001", "1795164886.9110002",
        "1795164886.911", "0", "01", "1e9"}) {
    std::string one = fmt::format(R"({{"metric":{{}},"values":[[{},"1"]],"x":"{}"}})", time,
                                  std::string(100, ' '));
    if (std::string_view(time) == "01") {
      CHECK(refusal(matrix(series + one)) != "");
      continue;
    }
    series += (series.empty() ? "" : ",") + one;
    times.push_back(std::strtod(time, nullptr));
  }
  Kept kept;
  REQUIRE(read_prom_answer(matrix(series), kept));
  REQUIRE(kept.all.size() == times.size());
  for (std::size_t i = 0; i < times.size(); ++i)
    CHECK(kept.all[i].samples.at(0).first == bits(times[i]));
}

TEST_CASE("thousands of answers in any order of keys are read as nlohmann reads them") {
  std::size_t series = 0;
  for (std::uint64_t seed = 1; seed <= 4000; ++seed) {
    std::string body = Writer(seed).answer();
    Kept kept;
    Result<PromAnswer> answer = read_prom_answer(body, kept);
    std::optional<Kept> expected = by_nlohmann(body);
    REQUIRE(expected);
    if (!answer || kept.all != expected->all) {
      CAPTURE(seed);
      CAPTURE(body);
      FAIL((answer ? "read otherwise" : answer.error().what));
    }
    series += kept.all.size();
  }
  CHECK(series > 5000);
}

TEST_CASE("an answer that is cut is refused wherever it was cut") {
  for (std::uint64_t seed : {3UL, 14UL, 15UL, 92UL}) {
    std::string body = Writer(seed).answer();
    body.erase(body.find_last_of('}') + 1);
    REQUIRE(refusal(body) == "");
    for (std::size_t size = 0; size < body.size(); ++size) {
      std::string what = refusal(body.substr(0, size));
      if (what.empty()) FAIL("taken after ", size, " bytes of ", body);
    }
  }
  CHECK(refusal(R"({"status":"success","data":{)") ==
        "ends at byte 28, where a text in quotes belongs");
}

TEST_CASE("a damaged answer is refused, or read as nlohmann reads it") {
  constexpr std::string_view kDamage = "\"\\{}[]:,0129.eE-+ tfn\x01\xC3x";
  std::mt19937_64 random(5);
  int taken = 0;
  for (std::uint64_t seed = 1; seed <= 3000; ++seed) {
    std::string body = Writer(seed).answer();
    for (int n = 0; n < 2; ++n) body[random() % body.size()] = kDamage[random() % kDamage.size()];
    Kept kept;
    if (!read_prom_answer(body, kept)) continue;
    ++taken;
    std::optional<Kept> expected = by_nlohmann(body);
    if (!expected || kept.all != expected->all) FAIL("taken wrongly: ", body);
  }
  CHECK(taken > 100);
}

TEST_CASE("what is no answer is refused with its place") {
  CHECK(refusal("") == "ends at byte 0, where an answer in JSON belongs");
  CHECK(refusal("<html>") == "has \"<\" at byte 0, where an answer in JSON belongs");
  CHECK(refusal("[]") == "has \"[\" at byte 0, where an answer in JSON belongs");
  CHECK(refusal("{}") == "has no status");
  CHECK(refusal(R"({"status":"ok"})") == "has the status \"ok\" (success or error would be right)");
  CHECK(refusal(R"({"status":"success"})") == "has no result");
  CHECK(refusal(R"({"status":"success","data":[]})") ==
        "has \"[\" at byte 27, where the result of a query belongs");
  CHECK(refusal(R"({"status":"success","data":{"resultType":"matrix","result":[]}} x)") ==
        "has \"x\" at byte 64, where the answer has ended");
  CHECK(refusal(R"({"status":"success","data":{"resultType":"streams","result":[]}})") ==
        "has the result type \"streams\" (vector, matrix, scalar or string would be right)");
  CHECK(refusal(matrix(R"({"metric":{},"value":[1,"2"]})")) ==
        "has a result that is not of the type it says");
  CHECK(refusal(matrix(R"(1,"2")")) == "has a result that is not of the type it says");
  CHECK(refusal(matrix(R"({"metric":{},"values":[[1,2]]})")) ==
        "has \"2\" at byte 86, where a value in quotes belongs");
  CHECK(refusal(matrix(R"({"metric":{},"values":[[1,"2x"]]})")) ==
        "has \"2\" at byte 87, where a value such as \"0.25\" or \"NaN\" belongs");
  CHECK(refusal(matrix(R"({"values":[]})")).ends_with("the series before has no metric"));
  CHECK(refusal(matrix(R"({"metric":{"a":"1","a":"2"},"values":[]})"))
            .ends_with("a label stood twice"));
  CHECK(refusal(matrix(R"({"metric":{"a":1},"values":[]})")).ends_with("a text in quotes belongs"));
  CHECK(refusal(matrix("{\"metric\":{\"a\":\"\xff\"},\"values\":[]}"))
            .ends_with("a text begins that is not UTF-8"));
  CHECK(refusal(matrix(R"({"metric":{"a":"\ud800"},"values":[]})"))
            .ends_with("the other half of a character belongs"));
  CHECK(
      refusal(R"({"status":"success","status":"error"})").ends_with("stands for the second time"));
  CHECK(refusal(R"({"x":)" + std::string(100000, '[')).ends_with("it is nested too deeply"));
  CHECK(refusal(R"({"status":"success","data":{"resultType":"scalar","result":[1,"x"]}})") ==
        "has a scalar that is no number: \"x\"");
}
