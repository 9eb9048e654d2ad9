// Fit: several sets of rules held against the same target, and which of them fits best.
//
// Why: "which preset is mine?" is answered by what each would count of the target's own pages: its
// counter is there, errors would show, latencies are there in a unit that makes sense, and they
// move. Bounded: a reader remembers the text of its page, so what fits nothing is not kept from one
// page to the next. Threading: not thread-safe. Failure: rules that do not compile fit nothing.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "davy/result.h"
#include "davy/source.h"
#include "sources/suggest/survey.h"
#include "sources/suggest/target_view.h"

namespace davy::source {

struct Candidate {
  /// Whatever else speaks for it, what comes earlier goes before what comes later.
  enum class Resort { First, Guess, Last };
  std::string name;
  RequestSeries requests;
  std::vector<std::string> signs{};  // names of other series by which its target is known
  std::string versions_by{};  // the label that tells versions apart, where one target has both
  Resort resort = Resort::First;
};

struct Fit {
  enum class Grade {
    Nothing,    // no series counts requests
    Blind,      // no error would show
    NoLatency,  // it has a histogram, but the target does not, or not in this unit
    Full,
  };
  Grade grade = Grade::Nothing;
  Candidate candidate{};
  std::vector<std::string> notes{};  // what speaks for and against it, for a person
  const TargetView* view = nullptr;  // null with Nothing
};

class Fitting {
 public:
  /// `wants_versions` = the one target is to tell of both versions.
  Fitting(std::vector<Candidate> candidates, bool wants_versions, std::size_t max_series);

  /// One more that was found out by looking at the first page.
  void add(Candidate candidate, const Page& page, const Survey& survey);
  /// What to ask for: the header Accept.
  std::string_view accept() const { return accept_; }
  /// `survey` is of the same page. The Error of the page, if it is none: the same for all.
  Result<Done> see(const Page& page, const Survey& survey);

  /// Best first; those that fit alike in the order in which they were given. The views live until
  /// the next page.
  std::vector<Fit> ranked() const;

 private:
  struct Tried {
    Candidate candidate;
    std::unique_ptr<TargetView> view{};  // null while it fits nothing
    Fit fit{};                           // by the last page
    int rank = 0;
  };
  Result<Done> see(Tried& tried, const Page& page, const Survey& survey);
  Fit judge(const Tried& tried, const Survey& survey) const;
  int rank_of(const Fit& fit, const Survey& survey) const;

  std::vector<Tried> tried_;
  const bool wants_versions_;
  const std::size_t max_series_;
  std::string_view accept_;
};

/// The values of a label among the requests' series with the requests of each, busiest first.
std::vector<std::pair<std::string, double>> versions_of(const TargetView& view,
                                                        std::string_view label);

}  // namespace davy::source
