# project() asks for compilers, and nothing here is compiled.
foreach(language C CXX)
  set(CMAKE_${language}_COMPILER ${GDLA_PYTHON})
  set(CMAKE_${language}_COMPILER_ID_RUN TRUE)
  set(CMAKE_${language}_COMPILER_FORCED TRUE)
endforeach()
