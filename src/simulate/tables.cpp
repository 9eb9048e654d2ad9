#include "simulate/tables.h"

#include "simulate/table_writer.h"

namespace davy::simulate {

std::string tables(const TableOptions& options,
                   const std::function<void(const std::string&)>& progress) {
  TableWriter out(options, progress);
  table_errors(out);
  table_disturbed(out);
  table_noise(out);
  return out.text();
}

}  // namespace davy::simulate
