// Guess: which of a page's series probably count requests, errors and latency.
//
// Why: what no preset knows has names of its own, but words and labels that most have in common:
// "requests", a counter, a label with status codes. It is a guess: whoever uses it must look at it,
// so it says what it goes by, and never takes an outgoing request's counter when there is another.
// Threading: pure. Failure: nothing, when no counter looks like requests whose errors would show.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "davy/source.h"
#include "sources/suggest/survey.h"

namespace davy::source {

struct Guess {
  RequestSeries requests;
  std::vector<std::string> reasons;  // "shop_orders_total: a counter with the word orders"
};

std::optional<Guess> guess(const Survey& survey);

/// Counters that sound like requests, likely first, at most `most`: for "the target has e.g. ...".
std::vector<std::string> likely_counters(const Survey& survey, std::size_t most);

/// What is odd about bounds of latencies in seconds, such as those of a wrong unit; "" = nothing.
std::string doubt_about_bounds(const std::vector<double>& seconds);

}  // namespace davy::source
