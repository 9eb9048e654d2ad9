// davy simulate: exit codes, words, JSON.

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include "lab/agent.h"

using namespace davy;

TEST_CASE("simulate reports on a regression, with the limit beside it") {
  lab::Finished found = lab::davy({"simulate", "--effect", "+5pp", "--runs", "20"});
  CHECK(found.code == 0);
  CHECK(found.output.find("rolled back") != std::string::npos);
  CHECK(found.output.find("No test that errs as rarely") != std::string::npos);
  CHECK(found.output.find("####") != std::string::npos);
}

TEST_CASE("simulate --json parses, and the same seed gives the same numbers") {
  std::vector<std::string> arguments{"simulate", "--json",   "--runs", "20",    "--seed",
                                     "7",        "--effect", "x5",     "--rps", "400"};
  lab::Finished first = lab::davy(arguments);
  nlohmann::json report = nlohmann::json::parse(first.output);
  CHECK(report.at("runs") == 20);
  CHECK(report.at("seed") == 7);
  CHECK(report.at("rolled_back") == 1.0);
  CHECK(report.at("rollback_delay").at("limit").get<double>() > 0);
  CHECK(lab::davy(arguments).output == first.output);
}

TEST_CASE("simulate tells of gauges, of a wrong share and of what an A/A period taught") {
  lab::Finished told = lab::davy({"simulate",
                                  "--runs",
                                  "4",
                                  "--json",
                                  "--effect",
                                  "x1",
                                  "--base",
                                  "2%",
                                  "--gauge",
                                  "10%",
                                  "--gauge-effect",
                                  "x2",
                                  "--routed",
                                  "50%",
                                  "--disturbance",
                                  "version-drift-0.3",
                                  "--rps",
                                  "1000",
                                  "--aa-period",
                                  "20m"});
  nlohmann::json report = nlohmann::json::parse(told.output);
  CHECK(report.at("marginal") == 1.0);
  CHECK(report.at("hold_delay").at("median").get<double>() > 60);
  CHECK(report.at("wrong_share") == 1.0);
  CHECK(report.at("learned_noise").get<double>() > 0.1);
}

TEST_CASE("simulate --table prints nine tables and how to print them again") {
  lab::Finished tables = lab::davy({"simulate", "--table", "--runs", "1", "--seed", "3"});
  CHECK(tables.code == 0);
  CHECK(tables.output.find("Printed by `davy simulate --table --runs 1 --seed 3`") == 0);
  for (const char* title : {"## 1. ", "## 2. ", "## 3. ", "## 4. ", "## 5. ", "## 6. ", "## 7. ",
                            "## 8. ", "## 9. ", "| retry-clumps |"})
    CHECK(tables.output.find(title) != std::string::npos);
}

TEST_CASE("simulate says what would be right and ends with 2") {
  struct Wrong {
    std::vector<std::string> arguments;
    std::string says;
  };
  for (const Wrong& wrong : std::vector<Wrong>{
           {{"--share", "150%"}, "--share"},
           {{"--share", "0"}, "between 0 and 100%"},
           {{"--base", "five"}, "try 5%"},
           {{"--effect", "2x"}, "try x2, +1pp"},
           {{"--effect", "x2000"}, "at most 95%"},
           {{"--rps", "0"}, "--rps must be above 0"},
           {{"--runs", "0"}, "--runs must be between"},
           {{"--onset", "2h"}, "not before the end"},
           {{"--onset", "5 s"}, "5 s"},
           {{"--mode", "brave"}, "robust, noisy, iid"},
           {{"--disturbance", "gremlins"}, "retry-clumps"},
           {{"--disturbance", "latency-drift"}, "--latency 50ms"},
           {{"--slower", "x2"}, "--latency 50ms"},
           {{"--gauge-effect", "x2"}, "--gauge 10%"},
           {{"--gauge", "10%", "--gauge-keep", "1"}, "try 0.95"},
           {{"--routed", "7"}, "--routed"},
           {{"--bundle", "0"}, "try 10"},
           {{"--pods", "1"}, "2 to 1000"},
           {{"--policy", "/nowhere.yaml"}, "/nowhere.yaml"},
       }) {
    std::vector<std::string> all{"simulate"};
    all.insert(all.end(), wrong.arguments.begin(), wrong.arguments.end());
    lab::Finished finished = lab::davy(all);
    CAPTURE(wrong.says);
    CAPTURE(finished.output);
    CHECK(finished.code == 2);
    CHECK(finished.output.find(wrong.says) != std::string::npos);
  }
}
