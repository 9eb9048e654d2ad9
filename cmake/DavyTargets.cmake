# The few functions with which CMakeLists.txt describes the house.

# Flags of every target of ours.
function(davy_flags target)
  target_compile_features(${target} PUBLIC cxx_std_20)
  set_target_properties(${target} PROPERTIES CXX_EXTENSIONS OFF)
  # Designated initialisers name what differs from the defaults; the rest is meant to be left out.
  # No fused multiply-add: the same blocks give the same evidence whatever the compiler and the machine.
  target_compile_options(${target} PRIVATE -ffp-contract=off)
  target_compile_options(${target} PRIVATE -Wall -Wextra -Wpedantic -Wconversion -Wno-missing-field-initializers
                         $<$<BOOL:${DAVY_WERROR}>:-Werror>
                         $<$<CXX_COMPILER_ID:GNU>:-Wno-restrict>)  # g++ 12: false alarms in std::string (GCC bug 105651)
  target_include_directories(${target} PUBLIC ${CMAKE_SOURCE_DIR}/include ${CMAKE_SOURCE_DIR}/src)
  target_compile_definitions(${target} PRIVATE DAVY_VERSION="${PROJECT_VERSION}")
  if(DAVY_SANITIZE)
    # GCC warns of its own instrumentation (GCC manual, -fsanitize: "may produce false positives").
    target_compile_options(${target} PRIVATE $<$<CXX_COMPILER_ID:GNU>:-Wno-maybe-uninitialized>)
    target_compile_options(${target} PUBLIC -fsanitize=${DAVY_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
    target_link_options(${target} PUBLIC -fsanitize=${DAVY_SANITIZE})
  endif()
endfunction()

# davy_library(NAME FOLDER LINK other folders and packages [PRIVATE packages used in one .cpp only])
function(davy_library name folder)
  cmake_parse_arguments(arg "" "" "LINK;PRIVATE" ${ARGN})
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${folder}/*.cpp)
  add_library(davy_${name} STATIC ${sources})
  davy_flags(davy_${name})
  foreach(link IN LISTS arg_LINK)
    if(link MATCHES "::")
      target_link_libraries(davy_${name} PUBLIC ${link})
    else()
      target_link_libraries(davy_${name} PUBLIC davy_${link})
    endif()
  endforeach()
  target_link_libraries(davy_${name} PRIVATE ${arg_PRIVATE})
endfunction()

# davy_table(LIBRARY FOLDER TYPE FUNCTION HEADER NAMESPACE): writes FUNCTION(), which lists one `extern const TYPE <file name>`
# per .cpp in FOLDER, in the order of the names. (Static registration would be dropped by the linker.)
function(davy_table library folder type function header namespace)
  file(GLOB files CONFIGURE_DEPENDS ${folder}/*.cpp)
  list(SORT files)
  set(externs "")
  set(entries "")
  foreach(file IN LISTS files)
    get_filename_component(stem ${file} NAME_WE)
    string(APPEND externs "extern const ${type} ${stem};\n")
    string(APPEND entries "      &${namespace}::${stem},\n")
  endforeach()
  set(out ${CMAKE_BINARY_DIR}/generated/${function}.cpp)
  file(CONFIGURE OUTPUT ${out} @ONLY CONTENT "// Written by the build from the file names in ${folder}/.
#include \"${header}\"

namespace davy {
namespace ${namespace} {
${externs}}  // namespace ${namespace}

const std::vector<const ${type}*>& ${function}() {
  static const std::vector<const ${type}*> all = {
${entries}  };
  return all;
}
}  // namespace davy
")
  target_sources(davy_${library} PRIVATE ${out})
endfunction()

# davy_embed(LIBRARY FOLDER NAME): puts every file of FOLDER into the binary as davy::embedded::NAME().
function(davy_embed library folder name)
  file(GLOB files CONFIGURE_DEPENDS ${folder}/*)
  list(SORT files)
  set(entries "")
  foreach(file IN LISTS files)
    get_filename_component(stem ${file} NAME_WE)
    file(READ ${file} content)
    string(APPEND entries "      {\"${stem}\", R\"embedded(${content})embedded\"},\n")
    set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${file})
  endforeach()
  set(out ${CMAKE_BINARY_DIR}/generated/${name}.cpp)
  file(WRITE ${out}.new "// Written by the build from ${folder}/.
#include \"base/embedded.h\"

namespace davy::embedded {
const std::vector<File>& ${name}() {
  static const std::vector<File> all = {
${entries}  };
  return all;
}
}  // namespace davy::embedded
")
  file(COPY_FILE ${out}.new ${out} ONLY_IF_DIFFERENT)
  target_sources(davy_${library} PRIVATE ${out})
endfunction()
