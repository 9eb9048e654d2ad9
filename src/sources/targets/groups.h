// Target groups: a file of Prometheus' file_sd -> the targets in it.
//
//   - targets: [10.0.0.5:9102, 10.0.0.6:9102]
//     labels: { track: canary, __metrics_path__: /stats/prometheus }
//
// As JSON or YAML. `__scheme__`, `__metrics_path__` and `__param_NAME` make the URL, as there. A
// target has its group's labels, and `__address__` and `__meta_filepath`, as there.
// Threading: pure. Failure: an Error with file:line, for the first of all that is wrong.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "davy/result.h"
#include "sources/targets/url.h"

namespace davy::source {

struct GroupTarget {
  TargetUrl url;  // without shares
  std::map<std::string, std::string> labels;
  int line = 0;
};

/// `path` is for messages and for `__meta_filepath`.
Result<std::vector<GroupTarget>> read_target_groups(const std::string& path, std::string_view text);

}  // namespace davy::source
