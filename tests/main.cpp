#define DOCTEST_CONFIG_IMPLEMENT
#include <doctest/doctest.h>
#include <csignal>

#include "app/helper.h"

int main(int argc, char** argv) {
  // The test programs start helper processes of their own, as the agent does.
  if (std::optional<int> code = davy::app::run_if_helper(argc, argv)) return *code;
  std::signal(SIGPIPE, SIG_IGN);  // as the agent does
  doctest::Context context(argc, argv);
  return context.run();
}
