// What is said between davy and its helpers: requests and their answers as bytes.
//
// Why: both ends are the same program, so the bytes are Archive's and carry no version.
// Threading: pure functions. Failure: bytes that cannot be what the other function wrote give
// nothing; the helper that sent them is killed.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/files.h"
#include "davy/probe.h"

namespace davy::wire {

/// One run of a probe.
struct RunProbe {
  std::string kind;
  Options options;
  std::string check;
  Time deadline{};  // on the machine's clock, which both ends share
  bool is_traced = false;
};

/// One name to look up.
struct LookUp {
  std::string host;
};

/// Files whose path matches.
struct FindFiles {
  std::string pattern;
};

/// The bytes of a file from there on, as many as fit into an answer.
struct ReadFile {
  std::string path;
  std::uint64_t from = 0;
};

struct Ran {
  Outcome outcome;
  std::vector<Trace::Phase> phases;
};

struct LookedUp {
  enum class Kind {
    Found,
    NoSuchName,  // an answer: the name does not exist, or has no address
    NoAnswer,    // from any name server, or a failure of theirs
    Cut,         // ended at the deadline
    Unable,      // our own limits: says nothing about name servers
  } kind = Kind::NoAnswer;
  std::vector<std::string> addresses;
  std::string why;  // in the system's words, unless found
};

using Request = std::variant<RunProbe, LookUp, FindFiles, ReadFile>;

std::string write(const Request& request);
std::string write(const Ran& ran);
std::string write(const LookedUp& answer);
std::string write(const files::Sight& sight);
std::string write(const files::Part& part);
/// The same settings give the same bytes: a helper remembers its probes by them.
std::string write(const Options& options);

std::optional<Request> read_request(const std::string& bytes);
std::optional<Ran> read_ran(const std::string& bytes);
std::optional<LookedUp> read_looked_up(const std::string& bytes);
std::optional<files::Sight> read_sight(const std::string& bytes);
std::optional<files::Part> read_part(const std::string& bytes);

}  // namespace davy::wire
