#include "lab/source.h"

#include <algorithm>
#include <stdexcept>

#include "base/archive.h"

namespace davy::lab {

const SourceKind& source_kind(std::string_view name) {
  for (const SourceKind* kind : source_kinds()) {
    if (kind->name == name) return *kind;
  }
  throw std::runtime_error("no kind of source " + std::string(name));
}

Result<std::unique_ptr<Source>> make_source(std::string_view kind, const Settings& settings,
                                            const RequestSeries& requests,
                                            const std::vector<ValueSeries>& values) {
  const SourceKind& chosen = source_kind(kind);
  Options options = options_for(chosen.options, settings);
  return chosen.make({options, requests, values, "shop"});
}

SourceRunner::SourceRunner(std::string_view kind, const Settings& settings,
                           const RequestSeries& requests, const std::vector<ValueSeries>& values,
                           const net::LookUp& look_up)
    : net_(look_up ? net::Means(look_up) : net::Means()), kind_(source_kind(kind)) {
  Result<std::unique_ptr<Source>> made = make_source(kind, settings, requests, values);
  if (!made) throw std::runtime_error(made.error().setting + ": " + made.error().what);
  source_ = std::move(*made);
}

Collected SourceRunner::collect(std::chrono::milliseconds timeout, bool canary_alone) {
  Collected collected = source_->collect({.deadline = Deadline::in(timeout),
                                          .net = net_,
                                          .workers = workers_,
                                          .clock = machine_clock(),
                                          .heartbeats = heartbeats_,
                                          .canary_alone = canary_alone});
  for (const SourceEvent& event : collected.events) {
    if (std::find(kind_.events.begin(), kind_.events.end(), event.name) == kind_.events.end())
      throw std::runtime_error("an event that the kind does not list: " + std::string(event.name));
  }
  return collected;
}

std::string SourceRunner::saved() {
  Archive out = Archive::writer();
  source_->archive(out);
  return out.bytes();
}

bool SourceRunner::load(std::string bytes) {
  Archive in = Archive::reader(std::move(bytes));
  source_->archive(in);
  return !in.failed() && in.at_end();
}

const RequestSeries Scraping::kSeries{
    .counter = {"n"}, .error_when = {"code=~\"5..\""}, .errors = {}, .histogram = {"h"}};

Settings Scraping::with(const std::string& baseline, const std::string& canary, Settings more) {
  more.insert(more.begin(), {{"baseline", baseline}, {"canary", canary}});
  return more;
}

Scraping::Scraping(const std::string& baseline, const std::string& canary, Settings more,
                   const std::vector<ValueSeries>& values)
    : Scraping(with(baseline, canary, std::move(more)), values) {}

Scraping::Scraping(const Settings& settings, const std::vector<ValueSeries>& values)
    : SourceRunner("scrape", settings, kSeries, values) {}

}  // namespace davy::lab
