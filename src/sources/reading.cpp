#include "sources/reading.h"

#include "sources/formats/catalogue.h"

namespace davy::source {

Result<Reading> read_metrics(std::string_view body, const Rules& rules,
                             const std::vector<Share>& shares, std::size_t max_series) {
  Catalogue catalogue(rules, shares, max_series);
  catalogue.begin();
  Result<Parsed> parsed = parse_exposition(body, catalogue);
  if (!parsed) return parsed.error();
  return catalogue.finish(*parsed);
}

}  // namespace davy::source
