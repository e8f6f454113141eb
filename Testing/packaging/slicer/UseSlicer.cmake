# The two commands of Slicer's build system that a scripted module needs, as far as files go.
#
# Slicer copies while it builds; here it happens at once, for then neither a compiler nor a build
# is needed. What it would refuse is refused, and so is what it would take and lose.

option(BUILD_TESTING "" ON)
set_property(GLOBAL PROPERTY gdla_steps "use")

function(gdla_step name)
  set_property(GLOBAL APPEND PROPERTY gdla_steps ${name})
endfunction()

function(gdla_check_arguments prefix)
  if(DEFINED ${prefix}_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "unknown arguments: ${${prefix}_UNPARSED_ARGUMENTS}")
  endif()
  foreach(name IN LISTS ARGN)
    if(NOT DEFINED ${prefix}_${name})
      message(FATAL_ERROR "${name} is missing")
    endif()
  endforeach()
endfunction()

function(slicerMacroBuildScriptedModule)
  cmake_parse_arguments(A "WITH_GENERIC_TESTS;WITH_SUBDIR;VERBOSE" "NAME" "SCRIPTS;RESOURCES" ${ARGN})
  gdla_check_arguments(A NAME SCRIPTS)
  gdla_step("module:${A_NAME}")
  set(destination ${CMAKE_BINARY_DIR}/${Slicer_QTSCRIPTEDMODULES_LIB_DIR})
  set(folder ${destination}/)
  if(A_WITH_SUBDIR)
    cmake_path(GET CMAKE_CURRENT_SOURCE_DIR FILENAME name)
    string(APPEND destination /${name})
    set(folder ${destination})
  endif()
  foreach(file IN LISTS A_SCRIPTS A_RESOURCES)
    if(NOT EXISTS ${CMAKE_CURRENT_SOURCE_DIR}/${file})
      message(FATAL_ERROR "${CMAKE_CURRENT_SOURCE_DIR}/${file} is listed and is not there")
    endif()
    if(EXISTS ${destination}/${file})
      message(FATAL_ERROR "${file} is listed twice")
    endif()
    cmake_path(IS_PREFIX destination ${destination}/${file} NORMALIZE inside)
    if(IS_ABSOLUTE ${file} OR NOT inside)
      message(FATAL_ERROR "${file} would be installed outside of ${destination}")
    endif()
    configure_file(${CMAKE_CURRENT_SOURCE_DIR}/${file} ${destination}/${file} COPYONLY)
  endforeach()
  foreach(file IN LISTS A_SCRIPTS)
    if(NOT file MATCHES "\\.py$")
      message(FATAL_ERROR "${file} is no Python file")
    endif()
    set_property(GLOBAL APPEND PROPERTY gdla_scripts ${destination}/${file})
  endforeach()
  install(
    DIRECTORY ${folder}
    DESTINATION ${Slicer_INSTALL_QTSCRIPTEDMODULES_LIB_DIR}
    COMPONENT RuntimeLibraries
    USE_SOURCE_PERMISSIONS
    )
  if(BUILD_TESTING AND A_WITH_GENERIC_TESTS)
    gdla_step("generic-test:${A_NAME}")
  endif()
endfunction()

function(slicer_add_python_unittest)
  cmake_parse_arguments(A "" "SCRIPT;TESTNAME_PREFIX" "SLICER_ARGS" ${ARGN})
  gdla_check_arguments(A SCRIPT)
  gdla_step("test:${A_SCRIPT}")
endfunction()
