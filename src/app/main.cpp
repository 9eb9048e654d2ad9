#include "app/cli.h"
#include "app/helper.h"

int main(int argc, char** argv) {
  if (std::optional<int> code = davy::app::run_if_helper(argc, argv)) return *code;
  return davy::app::run(argc, argv);
}
