# Everything comes from Debian packages, by the same names on Debian 12 and 13.

find_package(Threads REQUIRED)
find_package(OpenSSL REQUIRED)
find_package(ZLIB REQUIRED)
find_package(fmt REQUIRED)
find_package(spdlog REQUIRED)
find_package(nlohmann_json REQUIRED)
find_package(yaml-cpp REQUIRED)
find_package(CLI11 REQUIRED)
find_package(prometheus-cpp REQUIRED COMPONENTS core)
find_package(PkgConfig REQUIRED)
# Debian builds cpp-httplib into a shared library: without the .pc file's defines it crashes at run time.
pkg_check_modules(httplib REQUIRED IMPORTED_TARGET cpp-httplib)
pkg_check_modules(pqxx REQUIRED libpqxx)
pkg_check_modules(pq REQUIRED libpq)  # libpqxx is made on it
pkg_check_modules(hiredis REQUIRED IMPORTED_TARGET hiredis)
pkg_check_modules(hiredis_ssl QUIET IMPORTED_TARGET hiredis_ssl)  # not in Debian 12
pkg_check_modules(re2 REQUIRED re2)
pkg_check_modules(nghttp2 REQUIRED IMPORTED_TARGET libnghttp2)

# These two statically, for a light start (docs/decisions/011-libpq-when-it-is-needed.md).
# libpqxx without the libpq that it is made on: src/net/lazy_libpq.cpp loads that when it is needed.
find_library(pqxx_archive libpqxx.a REQUIRED)
add_library(pqxx::static STATIC IMPORTED)
set_target_properties(pqxx::static PROPERTIES IMPORTED_LOCATION ${pqxx_archive}
                      INTERFACE_INCLUDE_DIRECTORIES "${pqxx_INCLUDE_DIRS};${pq_INCLUDE_DIRS}")

# RE2 with what it needs of Abseil (Debian 13), which is 35 libraries.
list(REMOVE_DUPLICATES re2_STATIC_LIBRARIES)
list(FILTER re2_STATIC_LIBRARIES INCLUDE REGEX "^(re2|absl_.*)$")
set(re2_archives "")
foreach(library IN LISTS re2_STATIC_LIBRARIES)
  find_library(archive_of_${library} lib${library}.a REQUIRED)
  list(APPEND re2_archives ${archive_of_${library}})
endforeach()
list(JOIN re2_archives "," re2_archives)
add_library(re2::static INTERFACE IMPORTED)
target_link_libraries(re2::static INTERFACE "$<LINK_GROUP:RESCAN,${re2_archives}>")
set_target_properties(re2::static PROPERTIES INTERFACE_INCLUDE_DIRECTORIES "${re2_INCLUDE_DIRS}")

if(NOT TARGET yaml-cpp::yaml-cpp)  # yaml-cpp 0.7 (Debian 12) exports the name without a namespace
  add_library(yaml-cpp::yaml-cpp ALIAS yaml-cpp)
endif()
