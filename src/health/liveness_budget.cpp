#include "health/liveness_budget.h"

namespace davy::health {

bool LivenessBudget::suppresses(bool fails, const std::string& instance, Time now) {
  if (limit_.restarts == 0) return false;
  while (!restarts_.empty() && now - restarts_.front() >= limit_.within) restarts_.pop_front();
  bool is_new_failure = fails && (!was_failing_ || instance != failing_instance_);
  was_failing_ = fails;
  if (!fails) {
    suppressing_ = false;
    return false;
  }
  if (is_new_failure) {
    failing_instance_ = instance;
    suppressing_ = restarts_.size() >= static_cast<std::size_t>(limit_.restarts);
    if (!suppressing_) restarts_.push_back(now);
  } else if (suppressing_ && restarts_.size() < static_cast<std::size_t>(limit_.restarts)) {
    // It still fails after all that time: another restart may be tried.
    suppressing_ = false;
    restarts_.push_back(now);
  }
  return suppressing_;
}

}  // namespace davy::health
