// Migration tools: where each keeps what it has applied, and how it names its files.
//
// What is known of a database: which versions were applied, whether one is half done, whether one
// is running. What is expected comes with the release: a list, a file, or the directory of the
// migrations themselves, whose names mean what the tool says they mean.
// Threading: pure functions; expected_from() reads files. Failure: an Error.
#pragma once

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "base/text.h"
#include "davy/result.h"
#include "net/socket.h"

namespace davy::probe {

enum class MigrationTool {
  Rails,
  Django,
  Flyway,
  Alembic,
  Prisma,
  GolangMigrate,
  Goose,
  Liquibase
};

struct ToolFacts {
  MigrationTool tool;
  std::string_view name;   // as the config says it
  std::string_view table;  // unless the config says another
  std::string_view sql;    // its rows; {} is the table
};

/// The layouts are those that the tools themselves make; the integration test has their DDL.
inline constexpr ToolFacts kTools[] = {
    {MigrationTool::Rails, "rails", "schema_migrations", "SELECT version::text FROM {}"},
    {MigrationTool::Django, "django", "django_migrations",
     "SELECT app || '.' || name FROM {} ORDER BY id"},
    {MigrationTool::Flyway, "flyway", "flyway_schema_history",
     "SELECT version, success::text, type FROM {} WHERE version IS NOT NULL ORDER BY "
     "installed_rank"},
    {MigrationTool::Alembic, "alembic", "alembic_version", "SELECT version_num FROM {}"},
    // Prisma holds this advisory lock while it works, and the row looks the same when it died.
    {MigrationTool::Prisma, "prisma", "_prisma_migrations",
     "SELECT migration_name, (finished_at IS NOT NULL)::text, (rolled_back_at IS NOT NULL)::text, "
     "EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND objid = 72707369 AND classid = "
     "0 AND granted)::text FROM {} ORDER BY started_at"},
    {MigrationTool::GolangMigrate, "golang-migrate", "schema_migrations",
     "SELECT version::text, dirty::text FROM {}"},
    {MigrationTool::Goose, "goose", "goose_db_version",
     "SELECT version_id::text, is_applied::text FROM {} WHERE version_id > 0 ORDER BY id"},
    {MigrationTool::Liquibase, "liquibase", "databasechangelog",
     "SELECT id, filename || '::' || id || '::' || author, exectype FROM {} ORDER BY "
     "orderexecuted"},
};

inline const ToolFacts& facts_of(MigrationTool tool) {
  return *std::find_if(std::begin(kTools), std::end(kTools),
                       [&](const ToolFacts& facts) { return facts.tool == tool; });
}

inline bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
inline std::string_view leading_digits(std::string_view s) {
  return s.substr(
      0, static_cast<std::size_t>(std::find_if_not(s.begin(), s.end(), is_digit) - s.begin()));
}
inline std::string without_zeros(std::string_view digits) {
  std::size_t first = digits.find_first_not_of('0');
  return std::string(first == std::string_view::npos ? "0" : digits.substr(first));
}

/// "2" before "10", "2024_a" before "2024_b": numbers by value, the rest by bytes.
inline bool comes_before(std::string_view a, std::string_view b) {
  while (!a.empty() && !b.empty()) {
    std::string_view x = leading_digits(a);
    std::string_view y = leading_digits(b);
    if (!x.empty() && !y.empty()) {
      std::string m = without_zeros(x);
      std::string n = without_zeros(y);
      if (m != n) return m.size() != n.size() ? m.size() < n.size() : m < n;
      a.remove_prefix(x.size());
      b.remove_prefix(y.size());
      continue;
    }
    if (a.front() != b.front()) return a.front() < b.front();
    a.remove_prefix(1);
    b.remove_prefix(1);
  }
  return a.size() < b.size();
}

/// One spelling per version: Flyway's "1_02" and "1.2.0" are 1.2; "000001" of golang-migrate is 1.
inline std::string normal_version(MigrationTool tool, std::string_view version) {
  switch (tool) {
    case MigrationTool::Rails:
    case MigrationTool::GolangMigrate:
    case MigrationTool::Goose: {
      std::string_view digits = leading_digits(version);
      return digits.size() == version.size() ? without_zeros(digits) : std::string(version);
    }
    case MigrationTool::Flyway: {
      std::string dotted(version);
      std::replace(dotted.begin(), dotted.end(), '_', '.');
      std::vector<std::string> parts;
      for (std::string_view part : text::split(dotted, '.')) parts.push_back(without_zeros(part));
      while (parts.size() > 1 && parts.back() == "0") parts.pop_back();
      return text::join(parts, ".");
    }
    case MigrationTool::Alembic:  // "abc123 (head)", as `alembic heads` prints it
      return std::string(version.substr(0, version.find(' ')));
    case MigrationTool::Django: {  // shop/0001_initial is shop.0001_initial
      std::string name(version);
      std::replace(name.begin(), name.end(), '/', '.');
      return name;
    }
    default: return std::string(version);
  }
}

/// What the release brings.
struct ExpectedMigrations {
  std::set<std::string> versions;  // Alembic: its heads
  std::set<std::string> known;     // Alembic: every revision in the directory
};

constexpr std::size_t kLargestManifest = 1 << 20;
constexpr std::size_t kMostMigrations = 20000;

/// A plain file's content. A FIFO or a device would keep us for ever, so it is refused.
inline Result<std::string> read_small_file(const std::string& path) {
  net::Socket file(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!file) return Error{path + ": " + std::system_category().message(errno)};
  struct stat about {};
  if (fstat(file.fd(), &about) != 0 || !S_ISREG(about.st_mode))
    return Error{path + " is not a plain file"};
  std::string content(kLargestManifest + 1, '\0');
  std::size_t size = 0;
  while (size < content.size()) {
    ssize_t n = read(file.fd(), content.data() + size, content.size() - size);
    if (n < 0) return Error{path + ": " + std::system_category().message(errno)};
    if (n == 0) break;
    size += static_cast<std::size_t>(n);
  }
  if (size > kLargestManifest) return Error{path + " is larger than 1 MiB"};
  content.resize(size);
  return content;
}

/// The version in the name of a file, nullopt when it is none of the tool's migrations.
inline std::optional<std::string> version_in_name(MigrationTool tool, const std::string& file) {
  auto ends_with_one_of = [&](std::initializer_list<std::string_view> endings) {
    return std::any_of(endings.begin(), endings.end(),
                       [&](std::string_view ending) { return file.ends_with(ending); });
  };
  std::string_view digits = leading_digits(file);
  bool has_number = !digits.empty() && file.size() > digits.size() && file[digits.size()] == '_';
  switch (tool) {
    case MigrationTool::Rails:  // 20240131120000_create_orders.rb
      return has_number && ends_with_one_of({".rb"}) ? std::optional(std::string(digits))
                                                     : std::nullopt;
    case MigrationTool::GolangMigrate:  // 000001_create_orders.up.sql
      return has_number && file.find(".up.") != std::string::npos
                 ? std::optional(std::string(digits))
                 : std::nullopt;
    case MigrationTool::Goose:  // 00001_create_orders.sql
      return has_number && ends_with_one_of({".sql", ".go"}) && !ends_with_one_of({"_test.go"})
                 ? std::optional(std::string(digits))
                 : std::nullopt;
    case MigrationTool::Flyway: {  // V1_2__create_orders.sql; R__ and U1__ are no versions
      std::size_t end = file.find("__");
      bool is_one = file.size() > 1 && file[0] == 'V' && is_digit(file[1]) &&
                    end != std::string::npos &&
                    ends_with_one_of({".sql", ".java", ".class", ".kt"});
      return is_one ? std::optional(file.substr(1, end - 1)) : std::nullopt;
    }
    default: return std::nullopt;
  }
}

/// The quoted words to the right of `name =` in a Python file; None is none.
inline std::vector<std::string> python_strings(std::string_view source, std::string_view name) {
  std::vector<std::string> found;
  for (std::string_view line : text::split(source, '\n')) {
    std::size_t equals = line.find('=');
    std::string_view left = line.substr(0, std::min(equals, line.find(':')));
    if (equals == std::string_view::npos || text::trim(left) != name || line.front() == ' ')
      continue;
    std::string_view rest = line.substr(equals + 1);
    rest = rest.substr(0, rest.find('#'));
    for (std::size_t at; (at = rest.find_first_of("'\"")) != std::string_view::npos;) {
      std::size_t end = rest.find(rest[at], at + 1);
      if (end == std::string_view::npos) break;
      found.emplace_back(rest.substr(at + 1, end - at - 1));
      rest.remove_prefix(end + 1);
    }
    break;
  }
  return found;
}

/// The heads are the revisions that no other one is based on.
inline Result<ExpectedMigrations> alembic_revisions(const std::filesystem::path& directory) {
  ExpectedMigrations out;
  std::set<std::string> bases;
  std::error_code error;
  for (std::filesystem::directory_iterator it(directory, error), end; !error && it != end;
       it.increment(error)) {
    if (it->path().extension() != ".py") continue;
    Result<std::string> source = read_small_file(it->path());
    if (!source) return source.error();
    std::vector<std::string> revision = python_strings(*source, "revision");
    if (revision.empty()) continue;
    out.known.insert(revision.front());
    for (std::string& base : python_strings(*source, "down_revision"))
      bases.insert(std::move(base));
  }
  if (error) return Error{directory.string() + ": " + error.message()};
  std::set_difference(out.known.begin(), out.known.end(), bases.begin(), bases.end(),
                      std::inserter(out.versions, out.versions.end()));
  return out;
}

/// APP/migrations/0001_initial.py, for all apps below the directory.
inline Result<ExpectedMigrations> django_migrations(const std::filesystem::path& directory) {
  ExpectedMigrations out;
  std::error_code error;
  std::filesystem::recursive_directory_iterator it(directory, error), end;
  for (std::size_t seen = 0; !error && it != end; it.increment(error)) {
    if (++seen > 10 * kMostMigrations)
      return Error{directory.string() + " holds too many files to look through"};
    const std::filesystem::path& path = it->path();
    bool is_migration = path.extension() == ".py" && is_digit(path.stem().string().front()) &&
                        path.parent_path().filename() == "migrations";
    if (!is_migration) continue;
    std::string app = path.parent_path().parent_path().filename();
    out.versions.insert(app + "." + path.stem().string());
  }
  if (error) return Error{directory.string() + ": " + error.message()};
  return out;
}

inline Result<ExpectedMigrations> migrations_in(MigrationTool tool,
                                                const std::filesystem::path& directory) {
  if (tool == MigrationTool::Alembic) return alembic_revisions(directory);
  if (tool == MigrationTool::Django) return django_migrations(directory);
  if (tool == MigrationTool::Liquibase)
    return Error{directory.string() +
                 " is a directory, but Liquibase's files do not name their changes: give a file "
                 "with one id per line"};
  ExpectedMigrations out;
  std::error_code error;
  for (std::filesystem::directory_iterator it(directory, error), end; !error && it != end;
       it.increment(error)) {
    std::string name = it->path().filename();
    std::error_code ignored;
    bool is_prisma = tool == MigrationTool::Prisma &&
                     std::filesystem::exists(it->path() / "migration.sql", ignored);
    std::optional<std::string> version =
        is_prisma ? std::optional(name) : version_in_name(tool, name);
    if (version) out.versions.insert(normal_version(tool, *version));
    if (out.versions.size() > kMostMigrations)
      return Error{directory.string() + " holds too many migrations"};
  }
  if (error) return Error{directory.string() + ": " + error.message()};
  return out;
}

/// One version per line; empty lines and lines that begin with # count for nothing.
inline ExpectedMigrations migrations_listed(MigrationTool tool, std::string_view lines) {
  ExpectedMigrations out;
  for (std::string_view line : text::split(lines, '\n')) {
    std::string_view version = text::trim(line);
    if (!version.empty() && version.front() != '#')
      out.versions.insert(normal_version(tool, version));
  }
  return out;
}

/// A file, or a directory of migrations. One without any is a mistake: it would pass for ever.
inline Result<ExpectedMigrations> expected_from(MigrationTool tool, const std::string& path) {
  std::error_code error;
  bool is_directory = std::filesystem::is_directory(path, error);
  Result<ExpectedMigrations> found = ExpectedMigrations{};
  if (is_directory) {
    found = migrations_in(tool, path);
  } else {
    Result<std::string> content = read_small_file(path);
    if (!content) return content.error();
    found = migrations_listed(tool, *content);
  }
  if (found && found->versions.empty())
    return Error{path + " names no migration of " + std::string(facts_of(tool).name)};
  return found;
}

}  // namespace davy::probe
