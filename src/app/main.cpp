#include "app/cli.h"

int main(int argc, char** argv) {
  return davy::app::run(argc, argv);
}
