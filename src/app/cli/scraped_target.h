// Scraped target: asks one metrics URL, page after page, for the commands that show what is there.
//
// Why: `davy scrape` and `davy config suggest` ask as the scrape source does, and must say the same
// when there is no page: what is wrong, and what to do next. Threading: one thread.
// Failure: NoPage, with both. No header's value and no query is ever in a message.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "app/cli/commands.h"
#include "davy/result.h"
#include "net/http_client.h"
#include "net/means.h"
#include "sources/suggest/survey.h"
#include "sources/suggest/target_view.h"
#include "sources/targets/url.h"

namespace davy::app {

struct NoPage {
  std::string why;
  std::string next;  // what to do about it
};

struct Scraped {
  source::Page page;
  source::Survey survey;              // of the page
  bool is_packed = false;             // it came compressed
  std::optional<std::size_t> packed;  // bytes that came, where the answer tells
  Duration took{0};                   // until all of it was there
};

class ScrapedTarget {
 public:
  /// An Error is a wrong option.
  static Result<std::unique_ptr<ScrapedTarget>> make(const std::string& url,
                                                     const TargetOptions& options,
                                                     std::size_t max_body);

  std::variant<Scraped, NoPage> ask(std::string_view accept);
  /// Without its query.
  const std::string& url() const { return shown_; }

  using Headers = std::vector<std::pair<std::string, std::string>>;
  /// REQUIRES: the parts are right; make() sees to that.
  ScrapedTarget(source::TargetUrl url, net::HttpOptions http, Headers headers, Duration timeout);

 private:
  const std::string shown_;  // the URL without its query
  const source::TargetUrl url_;
  const Headers headers_;
  const Duration timeout_;
  net::Means net_;
  net::HttpClient client_;
};

/// On stderr.
void print_no_page(const NoPage& none);

/// "text 0.0.4", "OpenMetrics", "protobuf"
std::string_view format_of(std::string_view content_type);

}  // namespace davy::app
