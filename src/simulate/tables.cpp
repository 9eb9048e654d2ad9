#include "simulate/tables.h"

#include "simulate/table_writer.h"

namespace davy::simulate {

std::string tables(const TableOptions& options,
                   const std::function<void(const std::string&)>& progress) {
  TableWriter out(options, progress);
  table_errors(out);
  table_disturbed(out);
  table_noise(out);
  table_values(out);
  table_latency(out);
  table_share(out);
  table_objective(out);
  return out.text();
}

}  // namespace davy::simulate
