#include "app/helper.h"

#include <algorithm>
#include <csignal>
#include <exception>
#include <map>
#include <memory>
#include <string>

#include "base/files.h"
#include "base/helper_wire.h"
#include "base/helpers.h"
#include "net/means.h"
#include "net/resolver.h"

namespace davy::app {
namespace {

constexpr std::size_t kMostProbes = 32;  // remembered, so that one which is run again is not made

class HelperProgram {
 public:
  std::string answer(const std::string& bytes) {
    std::optional<wire::Request> request = wire::read_request(bytes);
    if (!request) return "";
    if (const auto* name = std::get_if<wire::LookUp>(&*request))
      return wire::write(net::look_up_here(name->host, Deadline(Time::never())));
    if (const auto* find = std::get_if<wire::FindFiles>(&*request))
      return wire::write(files::find_here(find->pattern));
    if (const auto* file = std::get_if<wire::ReadFile>(&*request))
      return wire::write(files::read_here(file->path, file->from));
    return wire::write(run(std::get<wire::RunProbe>(*request)));
  }

 private:
  wire::Ran run(const wire::RunProbe& request) {
    Result<Probe*> probe = probe_for(request);
    if (!probe) return {Outcome::unable("defect", probe.error().what), {}};
    if (!means_) means_ = make_means();
    Trace trace;
    ProbeContext ctx{
        Call{Deadline(request.deadline), *means_, request.is_traced ? &trace : nullptr},
        request.check};
    try {
      Outcome outcome = (*probe)->run(ctx);
      return {std::move(outcome), trace.phases()};
    } catch (const std::exception& e) {
      return {Outcome::unable("defect", e.what()), trace.phases()};
    }
  }

  /// With all signals blocked in its thread: one about our parent's death is for the thread that
  /// runs the probe.
  static std::unique_ptr<net::Means> make_means() {
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    auto means = std::make_unique<net::Means>(net::look_up_here);
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    return means;
  }

  Result<Probe*> probe_for(const wire::RunProbe& request) {
    std::string key = request.kind + '\n' + wire::write(request.options);
    auto known = probes_.find(key);
    if (known != probes_.end()) return known->second.get();
    const auto& kinds = probe_kinds();
    auto kind = std::find_if(kinds.begin(), kinds.end(),
                             [&](const ProbeKind* k) { return k->name == request.kind; });
    if (kind == kinds.end()) return Error{"the helper process knows no kind " + request.kind};
    Result<std::unique_ptr<Probe>> made = (*kind)->make(request.options);
    if (!made) return made.error();
    if (probes_.size() >= kMostProbes) probes_.clear();
    return (probes_[key] = *std::move(made)).get();
  }

  std::map<std::string, std::unique_ptr<Probe>> probes_;
  std::unique_ptr<net::Means> means_;  // made when a probe first needs it: it has a thread
};

}  // namespace

std::optional<int> run_if_helper(int argc, char** argv) {
  HelperProgram program;
  return serve_as_helper(argc, argv,
                         [&](const std::string& request) { return program.answer(request); });
}

}  // namespace davy::app
