// The house's one hard rule: a folder may include only what its line in CMakeLists.txt allows.
// The table below says the same as the link lines there; docs/architecture.md draws it.

#include <doctest/doctest.h>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace fs = std::filesystem;

namespace {

using Allowed = std::map<std::string, std::set<std::string>>;

/// What each room may include, besides itself.
Allowed rooms() {
  Allowed direct{
      {"davy", {}},
      {"base", {"davy"}},
      {"telemetry", {"base"}},
      {"stats", {"base"}},
      {"net", {"base"}},
      {"yaml", {"base"}},
      {"config", {"yaml", "stats"}},
      {"probes", {"net"}},
      {"sources", {"net", "stats", "yaml"}},
      {"health", {"config"}},
      {"schedule", {"health", "net", "telemetry"}},
      {"canary", {"stats", "config"}},
      {"simulate", {"canary"}},
      {"serve", {"health", "canary", "telemetry"}},
      {"store", {"base"}},
      {"app", {"serve", "store", "schedule", "canary", "simulate", "sources", "probes"}},
  };
  for (bool grew = true; grew;) {  // what a neighbour may include, its user may too
    grew = false;
    for (auto& [room, allowed] : direct) {
      std::size_t before = allowed.size();
      for (const std::string& neighbour : std::set<std::string>(allowed)) {
        allowed.insert(direct[neighbour].begin(), direct[neighbour].end());
      }
      grew = grew || allowed.size() != before;
    }
  }
  return direct;
}

/// Heavy libraries, and the only files that may include them.
const std::vector<std::pair<std::string, std::set<std::string>>> kHeavy{
    {"httplib.h", {"src/serve/front.cpp", "src/net/http_client.cpp"}},
    {"pqxx/", {"src/net/postgres.cpp"}},
    {"libpq-fe.h", {"src/net/postgres.cpp", "src/net/lazy_libpq.cpp"}},
    {"hiredis/", {"src/net/redis.cpp"}},
    {"CLI/", {"src/app/cli.cpp"}},
    {"yaml-cpp/", {"src/yaml/read.cpp"}},
    {"zlib.h", {"src/net/inflater.cpp"}},
    {"nghttp2/", {"src/net/grpc_call.cpp"}},
    {"re2/", {"src/sources/selector.cpp"}},
    {"spdlog/", {"src/base/log.cpp"}},
    {"prometheus/", {"src/telemetry/metrics.cpp", "src/app/demo/shop.cpp"}},
};

struct Include {
  std::string file;
  int line;
  std::string target;
  bool is_ours;  // in quotes
};

std::string room_of(const std::string& file) {
  fs::path path(file);
  auto part = path.begin();
  if (*part == "include") return "davy";
  if (*part == "src") ++part;
  return part->string();
}

std::vector<Include> all_includes() {
  fs::path root(DAVY_SOURCE_DIR);
  std::vector<Include> found;
  for (const char* top : {"src", "probes", "include"}) {
    for (const auto& entry : fs::recursive_directory_iterator(root / top)) {
      if (entry.path().extension() != ".h" && entry.path().extension() != ".cpp") continue;
      std::ifstream in(entry.path());
      std::string line;
      for (int number = 1; std::getline(in, line); ++number) {
        constexpr std::string_view kInclude = "#include ";
        if (!line.starts_with(kInclude)) continue;
        std::size_t end = line.find_first_of("\">", kInclude.size() + 1);
        std::string target = line.substr(kInclude.size() + 1, end - kInclude.size() - 1);
        found.push_back({fs::relative(entry.path(), root).string(), number, target,
                         line[kInclude.size()] == '"'});
      }
    }
  }
  return found;
}

}  // namespace

TEST_CASE("no folder includes what it may not") {
  Allowed allowed = rooms();
  std::vector<Include> includes = all_includes();
  CHECK(includes.size() > 300);  // the walk saw the tree
  for (const Include& i : includes) {
    if (!i.is_ours) continue;
    std::string from = room_of(i.file);
    std::string to = i.target.substr(0, i.target.find('/'));
    if (from == to) continue;
    std::string complaint =
        i.file + ":" + std::to_string(i.line) + " includes \"" + i.target + "\"";
    CHECK_MESSAGE(allowed[from].contains(to), complaint);
  }
}

TEST_CASE("heavy headers stay in the files made for them") {
  for (const Include& i : all_includes()) {
    for (const auto& [library, files] : kHeavy) {
      if (!i.target.starts_with(library)) continue;
      std::string complaint =
          i.file + ":" + std::to_string(i.line) + " includes <" + i.target + ">";
      CHECK_MESSAGE(files.contains(i.file), complaint);
    }
  }
}

TEST_CASE("public headers include no library") {
  for (const Include& i : all_includes()) {
    if (room_of(i.file) != "davy" || i.is_ours) continue;
    std::string complaint = i.file + ":" + std::to_string(i.line) + " includes <" + i.target + ">";
    CHECK_MESSAGE(i.target.find('/') == std::string::npos, complaint);
    CHECK_MESSAGE(i.target.find(".h") == std::string::npos, complaint);
  }
}
