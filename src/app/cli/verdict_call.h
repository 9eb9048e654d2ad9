// VerdictCall: asks a running agent for a deployment's verdict, as JSON.
//
// Why: `davy gate` and `davy explain` ask the same thing and must say the same when there is no
// answer. Threading: one thread. Failure: NoAnswer with a sentence for the person who asked.
#pragma once

#include <string>
#include <variant>

#include "davy/result.h"
#include "net/http_client.h"
#include "net/means.h"

namespace davy::app {

/// Why there is no answer. `final` = asking again will not help (no such deployment).
struct NoAnswer {
  std::string why;
  bool final = false;
};

class VerdictCall {
 public:
  VerdictCall(net::Url url, std::string deployment);

  /// The agent's answer, a JSON object. What it holds is the caller's to read.
  std::variant<std::string, NoAnswer> ask();

 private:
  net::Means net_;
  net::HttpClient client_;
  std::string deployment_;
};

/// On stderr, with what to look at next.
void print_no_answer(const NoAnswer& none, const std::string& url);

}  // namespace davy::app
