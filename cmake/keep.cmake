# Puts a module that was just built where the next installation finds it, whole or not at all:
# cmake -DFROM=... -DTO=... -P keep.cmake. That it cannot be kept is no error.
get_filename_component(folder "${TO}" DIRECTORY)
string(RANDOM LENGTH 12 suffix)
execute_process(COMMAND "${CMAKE_COMMAND}" -E make_directory "${folder}" ERROR_QUIET)
execute_process(COMMAND "${CMAKE_COMMAND}" -E copy "${FROM}" "${TO}.${suffix}"
                RESULT_VARIABLE failed ERROR_QUIET)
if(NOT failed)
  execute_process(COMMAND "${CMAKE_COMMAND}" -E rename "${TO}.${suffix}" "${TO}" ERROR_QUIET)
endif()
