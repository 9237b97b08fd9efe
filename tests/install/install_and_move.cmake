# Installs the build tree BUILD into a directory of its own and moves that to PREFIX. Fails when an installed text file
# names the source tree, the build tree or the first directory.
set(first "${PREFIX}.first")
file(REMOVE_RECURSE "${first}" "${PREFIX}")
execute_process(COMMAND ${CMAKE_COMMAND} --install "${BUILD}" --prefix "${first}"
  OUTPUT_VARIABLE output ERROR_VARIABLE output RESULT_VARIABLE result)
if(NOT result EQUAL 0)
  message(FATAL_ERROR "cmake --install failed:\n${output}")
endif()

file(GLOB_RECURSE texts "${first}/*.cmake" "${first}/*.pc" "${first}/*.h")
if(NOT texts)
  message(FATAL_ERROR "nothing was installed into ${first}:\n${output}")
endif()
foreach(text IN LISTS texts)
  file(READ "${text}" content)
  foreach(place "${SOURCE}/" "${BUILD}" "${first}")
    string(FIND "${content}" "${place}" position)
    if(NOT position EQUAL -1)
      message(SEND_ERROR "${text} names ${place}, so the installation cannot be moved")
    endif()
  endforeach()
endforeach()

file(RENAME "${first}" "${PREFIX}")
