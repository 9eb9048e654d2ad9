#include "base/text.h"

#include <doctest/doctest.h>

using namespace davy;

TEST_CASE("quoting makes hostile bytes harmless and cuts long ones") {
  CHECK(text::quoted("a\nb") == "\"a\\x0ab\"");
  CHECK(text::quoted("\xff") == "\"\\xff\"");
  CHECK(text::quoted("\xc2\x9b\xc2\xa0") == "\"\\xc2\\x9b\xc2\xa0\"");  // U+009B begins a sequence
  CHECK(text::quoted("say \"hi\"") == "\"say \\\"hi\\\"\"");
  CHECK(text::quoted(std::string(1000, 'x')).size() < 100);
}

TEST_CASE("invalid UTF-8 is replaced byte by byte and valid UTF-8 is kept") {
  CHECK(text::valid_utf8("gr\xc3\xbc\xc3\x9f") == "gr\xc3\xbc\xc3\x9f");
  CHECK(text::valid_utf8("a\xc3") == "a\xEF\xBF\xBD");
  CHECK(text::valid_utf8("\xed\xa0\x80").find("\xed") == std::string::npos);  // a surrogate half
}

TEST_CASE("the nearest word is offered only when it is near") {
  CHECK(text::nearest("perod", {"period", "timeout"}) == "period");
  CHECK(text::nearest("zebra", {"period", "timeout"}) == "");
}

TEST_CASE("large counts are grouped by thousands") {
  CHECK(text::grouped(999) == "999");
  CHECK(text::grouped(1234567) == "1,234,567");
}
