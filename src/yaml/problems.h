// Problems: what is wrong with one file, collected so that all of it is told at once.
//
// Threading: not thread-safe; lives as long as one load.
#pragma once

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

namespace davy::yaml {

/// One thing that is wrong, at its place.
struct Problem {
  std::string file;
  int line = 0;
  std::string what;  // what is wrong (what would be right)

  std::string text() const {  // "file:line: what"
    return line == 0 ? file + ": " + what : file + ":" + std::to_string(line) + ": " + what;
  }
};

class Problems {
 public:
  explicit Problems(std::string file) : file_(std::move(file)) {}

  /// `what` reads "what is wrong (what would be right)". Line 0 means the file as a whole.
  void add(int line, std::string what) { found_.push_back({file_, line, std::move(what)}); }

  std::size_t count() const { return found_.size(); }

  /// In the order of their lines; those of one line in the order in which they were found.
  std::vector<Problem> sorted() const {
    std::vector<Problem> all = found_;
    std::stable_sort(all.begin(), all.end(),
                     [](const Problem& a, const Problem& b) { return a.line < b.line; });
    return all;
  }

 private:
  std::string file_;
  std::vector<Problem> found_;
};

}  // namespace davy::yaml
