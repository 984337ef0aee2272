# A module is built once for one content: an installation whose sources, tools and flags are those
# of an earlier one takes that one's module from the user's cache folder.
#
# Sets COVECTOR_REUSE to where the module is, or belongs once it is built; to nothing where the user
# has no cache folder.

set(cache_home "$ENV{XDG_CACHE_HOME}")
if(cache_home STREQUAL "" AND NOT "$ENV{HOME}" STREQUAL "")
  set(cache_home "$ENV{HOME}/.cache")
endif()

file(GLOB_RECURSE sources "${CMAKE_CURRENT_SOURCE_DIR}/native/*" "${CMAKE_CURRENT_SOURCE_DIR}/cmake/*")
set(content "")
foreach(source IN LISTS sources ITEMS "${CMAKE_CURRENT_SOURCE_DIR}/CMakeLists.txt")
  file(SHA256 "${source}" digest)
  file(RELATIVE_PATH name "${CMAKE_CURRENT_SOURCE_DIR}" "${source}")
  string(APPEND content "${name} ${digest}\n")
endforeach()
execute_process(
  COMMAND "${Python_EXECUTABLE}" -c
          "import sys, numpy, nanobind as n; print(sys.version, numpy.__version__, n.__version__)"
  OUTPUT_VARIABLE versions COMMAND_ERROR_IS_FATAL ANY)
string(APPEND content "${versions}
  ${CMAKE_CXX_COMPILER} ${CMAKE_CXX_COMPILER_VERSION} ${CMAKE_SYSTEM_NAME} ${CMAKE_SYSTEM_PROCESSOR}
  ${CMAKE_BUILD_TYPE} ${CMAKE_CXX_FLAGS} ${CMAKE_CXX_FLAGS_RELEASE} ${CMAKE_MODULE_LINKER_FLAGS}
  ${COVECTOR_SANITIZE} ${Python_SOABI}")
string(SHA256 digest "${content}")
if(IS_ABSOLUTE "${cache_home}")
  set(COVECTOR_REUSE "${cache_home}/covector/build/${digest}.so")
else()
  set(COVECTOR_REUSE "")
endif()
