# The end of an extension: its scripts are compiled to where Slicer puts them, beside the sources,
# and what it says of itself is written down, one JSON file for extension.py.

gdla_step("package")

get_property(scripts GLOBAL PROPERTY gdla_scripts)
list(JOIN scripts "\n" lines)
file(WRITE ${CMAKE_BINARY_DIR}/scripts.txt "${lines}\n")
execute_process(
  COMMAND ${GDLA_PYTHON} -I -m compileall -q -b -i ${CMAKE_BINARY_DIR}/scripts.txt
  COMMAND_ERROR_IS_FATAL ANY
  )

set(description "{}")
foreach(name CATEGORY CONTRIBUTORS DEPENDS DESCRIPTION HOMEPAGE ICONURL SCREENSHOTURLS)
  if("${EXTENSION_${name}}" STREQUAL "")
    message(FATAL_ERROR "EXTENSION_${name} is not set")
  endif()
  string(REPLACE "\"" "\\\"" value "${EXTENSION_${name}}")
  string(JSON description SET "${description}" ${name} "\"${value}\"")
endforeach()
string(JSON description SET "${description}" NAME "\"${PROJECT_NAME}\"")
get_property(steps GLOBAL PROPERTY gdla_steps)
string(JSON description SET "${description}" STEPS "\"${steps}\"")
file(WRITE ${CMAKE_BINARY_DIR}/extension.json "${description}")
