#define DOCTEST_CONFIG_IMPLEMENT
#include <doctest/doctest.h>
#include <csignal>

int main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);  // as the agent does
  doctest::Context context(argc, argv);
  return context.run();
}
