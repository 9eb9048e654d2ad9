// Migrations: the database has the migrations that the release brings, none of them half done.
//
// Fails on: pending migrations; hard on one that is half done (dirty), on a missing table
// (uninitialised), on a lock that was left behind. Warns on a database that is newer than the
// release, which is normal during a rollback, and on a migration that is running. An unreadable
// manifest is an error: nothing is expected then. Fails with PostgreSQL as the postgres probe does.
// Belongs to the role deploy or startup: a running release does not become ready by migrating.
// Queries never outlast the deadline; connecting may, see net/postgres.h. The manifest is read at
// every run, because it changes with the release.

#include <fmt/format.h>

#include <memory>
#include <optional>
#include <set>

#include "base/text.h"
#include "base/units.h"
#include "davy/probe.h"
#include "net/postgres.h"
#include "probes/advisory_lock.h"
#include "probes/findings.h"
#include "probes/migration_tools.h"
#include "probes/postgres_outcome.h"

namespace davy::probe {
namespace {

constexpr const char* kAuto = "auto";

struct Settings {
  std::optional<MigrationTool> tool;  // nullopt = by the table
  std::string schema;                 // "" = the role's search_path
  std::string table;                  // "" = the tool's
  std::vector<std::string> expected;
  std::string manifest;  // "" = none
  Duration max_lock_age;
};

/// What the database says it has.
struct Applied {
  std::set<std::string> versions;
  std::optional<std::string> floor;  // everything up to here counts as applied
  std::optional<std::string> dirty;
  bool is_running = false;  // the half done one is being worked on
};

std::string quoted_name(const std::string& name) {
  std::string out = "\"";
  for (char c : name) out += c == '"' ? "\"\"" : std::string(1, c);
  return out + "\"";
}
std::string quoted_text(const std::string& value) {
  std::string out = "'";
  for (char c : value) out += c == '\'' ? "''" : std::string(1, c);
  return out + "'";  // standard_conforming_strings: a backslash is one
}

std::string cell(const net::PostgresRow& row, std::size_t i) {
  return i < row.size() ? row[i].value_or("") : "";
}

/// The newest row of a version counts, for tools that write one for going back, too.
Applied applied_from(MigrationTool tool, const net::PostgresRows& rows) {
  Applied out;
  for (const net::PostgresRow& row : rows) {
    std::string version = normal_version(tool, cell(row, 0));
    bool second = cell(row, 1) == "true";
    bool is_done = true;
    switch (tool) {
      case MigrationTool::Flyway:
        if (!second) out.dirty = version;
        if (cell(row, 2) == "BASELINE") out.floor = version;
        is_done = second && cell(row, 2).rfind("UNDO", 0) != 0;
        break;
      case MigrationTool::Prisma:
        is_done = second && cell(row, 2) != "true";
        if (!second && cell(row, 2) != "true") out.dirty = version;
        out.is_running = cell(row, 3) == "true";
        break;
      case MigrationTool::GolangMigrate:
        if (second) out.dirty = version;
        out.floor = version;  // it remembers the last one only
        break;
      case MigrationTool::Goose: is_done = second; break;
      case MigrationTool::Liquibase:
        if (cell(row, 2) == "FAILED") out.dirty = version;
        is_done = cell(row, 2) != "FAILED";
        if (is_done) out.versions.insert(cell(row, 1));  // also by file::id::author
        break;
      default: break;
    }
    is_done ? (void)out.versions.insert(version) : (void)out.versions.erase(version);
  }
  return out;
}

/// Versions of different apps are not in one order.
std::string_view app_of(MigrationTool tool, std::string_view version) {
  return tool == MigrationTool::Django ? version.substr(0, version.find('.')) : std::string_view();
}

struct Migrations final : Probe {
  Migrations(net::PostgresDsn dsn, Settings settings)
      : client_(std::move(dsn), std::chrono::minutes(5)), set_(std::move(settings)) {}

  Outcome run(const ProbeContext& ctx) override {
    if (std::optional<net::PostgresError> trouble = client_.begin(ctx)) return outcome_of(*trouble);
    Findings findings;
    std::optional<MigrationTool> tool = find_table(ctx, findings);
    if (tool) look(*tool, ctx, findings);
    return std::move(findings).worst();
  }

 private:
  std::optional<net::PostgresRows> ask(const std::string& sql, const ProbeContext& ctx,
                                       Findings& findings) {
    std::variant<net::PostgresRows, net::PostgresError> answer = client_.query(sql, ctx);
    if (auto* rows = std::get_if<net::PostgresRows>(&answer)) return std::move(*rows);
    findings.add(outcome_of(std::get<net::PostgresError>(answer)));
    return std::nullopt;
  }

  std::string said(const std::string& what) const { return client_.name() + ": " + what; }

  std::string full_name(std::string_view table) const {
    std::string name = quoted_name(std::string(table));
    return set_.schema.empty() ? name : quoted_name(set_.schema) + "." + name;
  }

  /// Which of the tools' tables are there, and whose: Rails' and golang-migrate's have one name.
  std::optional<MigrationTool> find_table(const ProbeContext& ctx, Findings& findings) {
    std::set<std::string_view> tables;
    for (const ToolFacts& facts : kTools) {
      if (!set_.tool || facts.tool == *set_.tool)
        tables.insert(set_.table.empty() ? facts.table : std::string_view(set_.table));
    }
    std::string sql;
    for (std::string_view table : tables) {
      std::string name = quoted_text(full_name(table));
      sql += (sql.empty() ? "" : " UNION ALL ") +
             fmt::format(
                 "SELECT {}, EXISTS (SELECT FROM pg_attribute WHERE attrelid = "
                 "to_regclass({}) AND attname = 'dirty' AND NOT attisdropped)::text WHERE "
                 "to_regclass({}) IS NOT NULL",
                 quoted_text(std::string(table)), name, name);
    }
    std::optional<net::PostgresRows> rows = ask(sql, ctx, findings);
    if (!rows) return std::nullopt;
    if (rows->empty()) {
      findings.add(Outcome::failed("uninitialised", said(missing(tables)), Outcome::kHard));
      return std::nullopt;
    }
    return tool_of(*rows, findings);
  }

  std::string missing(const std::set<std::string_view>& tables) const {
    std::string where = set_.schema.empty() ? "" : " in schema " + text::quoted(set_.schema);
    if (tables.size() == 1)
      return "there is no table " + text::quoted(*tables.begin()) + where +
             ": no migration ever ran here";
    return "there is no table of a migration tool that is known" + where;
  }

  std::optional<MigrationTool> tool_of(const net::PostgresRows& rows, Findings& findings) const {
    if (rows.size() > 1) {
      findings.add(
          Outcome::unable("ambiguous", said("several tools have tables here (" + cell(rows[0], 0) +
                                            ", " + cell(rows[1], 0) + "): set tool")));
      return std::nullopt;
    }
    bool is_dirty_known = cell(rows[0], 1) == "true";
    auto is_one_of_two = [](MigrationTool tool) {
      return tool == MigrationTool::Rails || tool == MigrationTool::GolangMigrate;
    };
    if (!set_.tool) {
      for (const ToolFacts& facts : kTools) {
        bool fits = !is_one_of_two(facts.tool) ||
                    is_dirty_known == (facts.tool == MigrationTool::GolangMigrate);
        if (facts.table == cell(rows[0], 0) && fits) return facts.tool;
      }
      return std::nullopt;
    }
    if (is_one_of_two(*set_.tool) &&
        is_dirty_known != (*set_.tool == MigrationTool::GolangMigrate)) {
      findings.add(Outcome::failed(
          "wrong_tool",
          said(fmt::format("table {} {} a column \"dirty\": it is {}'s, not {}'s",
                           text::quoted(cell(rows[0], 0)), is_dirty_known ? "has" : "lacks",
                           is_dirty_known ? "golang-migrate" : "Rails", facts_of(*set_.tool).name)),
          Outcome::kHard));
      return std::nullopt;
    }
    return set_.tool;
  }

  void look(MigrationTool tool, const ProbeContext& ctx, Findings& findings) {
    const ToolFacts& facts = facts_of(tool);
    std::string table = full_name(set_.table.empty() ? facts.table : set_.table);
    std::optional<net::PostgresRows> rows =
        ask(fmt::format(fmt::runtime(facts.sql), table), ctx, findings);
    if (!rows) return;
    Applied applied = applied_from(tool, *rows);
    if (tool == MigrationTool::GolangMigrate && applied.dirty)
      applied.is_running = is_locked_by_golang(ctx, findings);
    judge_dirty(applied, findings);
    if (tool == MigrationTool::Liquibase) judge_lock(ctx, findings);

    std::optional<ExpectedMigrations> expected = expected_for(tool, findings);
    if (!expected) return;
    tool == MigrationTool::Alembic ? judge_heads(applied, *expected, findings)
                                   : judge_versions(tool, applied, *expected, findings);
  }

  /// golang-migrate: CRC-32 of schema, table and database, times a constant, in 32 bits. It is
  /// dirty while it works, too.
  bool is_locked_by_golang(const ProbeContext& ctx, Findings& findings) {
    std::optional<net::PostgresRows> rows =
        ask("SELECT current_schema(), current_database(), ((classid::bigint << 32) | "
            "objid::bigint)::text FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 1 AND "
            "granted AND database = (SELECT oid FROM pg_database WHERE datname = "
            "current_database())",
            ctx, findings);
    if (!rows) return false;
    std::string table = set_.table.empty() ? "schema_migrations" : set_.table;
    return std::any_of(rows->begin(), rows->end(), [&](const net::PostgresRow& row) {
      std::string schema = set_.schema.empty() ? cell(row, 0) : set_.schema;
      std::string hashed = schema + '\0' + table + '\0' + cell(row, 1);
      constexpr std::uint32_t kSalt = 1486364155;
      return cell(row, 2) == std::to_string(crc32_of(hashed) * kSalt);
    });
  }

  void judge_dirty(const Applied& applied, Findings& findings) const {
    if (!applied.dirty) return;
    if (applied.is_running)
      return running("migration " + text::quoted(*applied.dirty) + " is running", findings);
    findings.add(Outcome::failed("dirty",
                                 said("migration " + text::quoted(*applied.dirty) +
                                      " failed half way: no other one runs until it is repaired"),
                                 Outcome::kHard));
  }

  void running(const std::string& what, Findings& findings) const {
    Outcome migrating = Outcome::warned("migrating", said(what));
    migrating.blocks_deploy = true;
    findings.add(std::move(migrating));
  }

  void judge_lock(const ProbeContext& ctx, Findings& findings) {
    std::string lock = full_name((set_.table.empty() ? "databasechangelog" : set_.table) + "lock");
    std::optional<net::PostgresRows> rows = ask(
        fmt::format("SELECT extract(epoch FROM localtimestamp - lockgranted)::text, lockedby FROM "
                    "{} WHERE locked",
                    lock),
        ctx, findings);
    if (!rows || rows->empty()) return;
    // Liquibase writes its own local time: in another time zone than the database's, the age is
    // wrong by hours, never shorter than nothing.
    double age = std::max(0.0, std::strtod(cell((*rows)[0], 0).c_str(), nullptr));
    findings.measured("lock_age", age, "s");
    std::string held = fmt::format("Liquibase's lock has been held for {} by {}",
                                   units::show_latency(age), text::quoted(cell((*rows)[0], 1)));
    if (age <= seconds(set_.max_lock_age)) return running(held, findings);
    findings.add(Outcome::failed(
        "locked",
        said(held + fmt::format(", limit {}: release it when nothing migrates any more",
                                units::show(set_.max_lock_age))),
        Outcome::kHard));
  }

  std::optional<ExpectedMigrations> expected_for(MigrationTool tool, Findings& findings) const {
    if (set_.manifest.empty() && set_.expected.empty()) return std::nullopt;
    if (set_.manifest.empty()) return migrations_listed(tool, text::join(set_.expected, "\n"));
    Result<ExpectedMigrations> found = expected_from(tool, set_.manifest);
    if (found) return *found;
    findings.add(Outcome::unable("manifest", "manifest: " + found.error().what));
    return std::nullopt;
  }

  void judge_versions(MigrationTool tool, const Applied& applied,
                      const ExpectedMigrations& expected, Findings& findings) const {
    std::vector<std::string> pending;
    for (const std::string& version : expected.versions) {
      bool is_covered = applied.floor && !comes_before(*applied.floor, version);
      if (!is_covered && applied.versions.count(version) == 0) pending.push_back(version);
    }
    // Older ones that the release no longer has were squashed or tidied away.
    std::vector<std::string> ahead;
    for (const std::string& version : applied.versions) {
      if (expected.versions.count(version) == 0 && is_newer(tool, version, expected.versions))
        ahead.push_back(version);
    }
    tell(pending, ahead, findings);
  }

  static bool is_newer(MigrationTool tool, const std::string& version,
                       const std::set<std::string>& expected) {
    if (tool == MigrationTool::Liquibase) return false;  // its ids have no order
    bool is_known_app = false;
    for (const std::string& other : expected) {
      if (app_of(tool, other) != app_of(tool, version)) continue;
      is_known_app = true;
      if (!comes_before(other, version)) return false;
    }
    return is_known_app;
  }

  void tell(std::vector<std::string> pending, std::vector<std::string> ahead,
            Findings& findings) const {
    std::sort(pending.begin(), pending.end(), comes_before);
    std::sort(ahead.begin(), ahead.end(), comes_before);
    findings.measured("pending", static_cast<double>(pending.size()), "1");
    findings.measured("ahead", static_cast<double>(ahead.size()), "1");
    auto counted = [](const std::vector<std::string>& all) {
      return text::counted(static_cast<double>(all.size()), "migration", "migrations");
    };
    if (!pending.empty())
      findings.add(Outcome::failed(
          "pending",
          said(counted(pending) + " of the release not applied: " + text::quoted(pending.front()) +
               (pending.size() > 1 ? " and later" : ""))));
    if (!ahead.empty())
      findings.add(Outcome::warned(
          "ahead", said("the database is newer than the release by " + counted(ahead) + ", up to " +
                        text::quoted(ahead.back()) + ": normal after a rollback")));
  }

  /// Alembic keeps where it is, not what it did.
  void judge_heads(const Applied& applied, const ExpectedMigrations& expected,
                   Findings& findings) const {
    std::vector<std::string> pending;
    std::vector<std::string> strange;
    for (const std::string& head : expected.versions) {
      if (applied.versions.count(head) == 0) pending.push_back(head);
    }
    for (const std::string& version : applied.versions) {
      bool is_known = expected.known.empty() || expected.known.count(version) > 0;
      if (!is_known) strange.push_back(version);
    }
    // At a revision that the release does not have, it is beyond the release.
    if (!strange.empty()) pending.clear();
    tell(pending, strange, findings);
    if (applied.versions.size() > 1 || expected.versions.size() > 1)
      findings.add(Outcome::warned(
          "branches", said(fmt::format("{} in the database, {} in the release: merge them",
                                       text::counted(static_cast<double>(applied.versions.size()),
                                                     "Alembic head", "Alembic heads"),
                                       expected.versions.size()))));
  }

  net::PostgresClient client_;
  const Settings set_;
};

Result<std::unique_ptr<Probe>> make(const Options& options) {
  Result<net::PostgresDsn> dsn = net::parse_postgres_dsn(options.text("dsn"));
  if (!dsn) return Error{dsn.error().what, "dsn"};
  Settings settings;
  for (const ToolFacts& facts : kTools) {
    if (facts.name == options.text("tool")) settings.tool = facts.tool;
  }
  settings.schema = options.text_or("schema");
  settings.table = options.text_or("table");
  if (options.has("expected")) settings.expected = options.list("expected");
  settings.manifest = options.text_or("manifest");
  settings.max_lock_age = options.duration("max_lock_age");
  if (!settings.expected.empty() && !settings.manifest.empty())
    return Error{"expected and manifest say the same: give one of them", "expected"};
  if (!settings.table.empty() && !settings.tool)
    return Error{"needs to know whose table it is: set tool", "table"};
  return std::unique_ptr<Probe>(new Migrations(std::move(*dsn), std::move(settings)));
}

}  // namespace

extern const ProbeKind migrations{
    .name = "migrations",
    .summary =
        "A PostgreSQL database has the migrations of the release, none half done. For the "
        "roles deploy and startup.",
    .reach = ProbeKind::Reach::Remote,
    .options =
        {
            {"dsn", OptionType::Secret, kRequired, "",
             "postgresql://user:password@host/database or \"host=... user=...\"; one host"},
            {"tool",
             OptionType::Choice,
             kOptional,
             kAuto,
             "who migrates; auto tells by the table, and Rails from golang-migrate by its columns",
             {kAuto, "rails", "django", "flyway", "alembic", "prisma", "golang-migrate", "goose",
              "liquibase"}},
            {"schema", OptionType::Text, kOptional, "",
             "where the table is; without it, on the role's search_path"},
            {"table", OptionType::Text, kOptional, "", "its name, where it is not the tool's own"},
            {"expected", OptionType::TextList, kOptional, "",
             "the versions that must be applied (Alembic: the heads; Django: app.0001_name; "
             "Liquibase: id, or file::id::author)"},
            {"manifest", OptionType::Path, kOptional, "",
             "the same as a file with one version per line, or the release's directory of "
             "migrations (not for Liquibase); without either only half done ones are seen"},
            {"max_lock_age", OptionType::Duration, kOptional, "10m",
             "Liquibase: a lock held for longer was left behind"},
        },
    .example =
        "{ dsn: \"postgresql://app@127.0.0.1/shop\", tool: rails, manifest: "
        "/app/db/migrate }",
    .reasons = with_postgres_reasons({
        {"pending", "the release has migrations that the database has not"},
        {"dirty", "a migration failed half way: repair it by hand", true},
        {"uninitialised", "the tool's table is missing: wrong database or schema, or it never ran",
         true},
        {"locked", "Liquibase's lock is older than max_lock_age", true},
        {"wrong_tool", "the table belongs to another tool", true},
        {"ahead", "the database is newer than the release: normal after a rollback (warning)"},
        {"branches", "Alembic has several heads (warning)"},
        {"migrating", "a migration is running (warning)"},
        {"manifest",
         "the manifest cannot be read, or names nothing: says nothing about the "
         "database"},
        {"ambiguous", "tables of several tools: set tool"},
    }),
    .doubt_in_readiness =
        "traffic that goes elsewhere migrates nothing, and a database ahead of "
        "the code is normal during a rollback (give it the roles deploy and "
        "startup)",
    .make = make,
};

}  // namespace davy::probe
