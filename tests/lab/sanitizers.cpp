// What LeakSanitizer is told to overlook, because it is not ours.

// libpqxx 6.4 loses a result (2 KB) when a connection breaks under a query: make_result() throws
// before it owns what PQexec gave it. TODO: drop when Debian 12 is no longer supported.
extern "C" const char* __lsan_default_suppressions();
extern "C" const char* __lsan_default_suppressions() {
  return "leak:pqxx::connection_base::exec\n";
}
