# SPDX-License-Identifier: MIT
#
# msquicxdp_add_archive(<variant>) builds the archive by scripts/archive.sh, and makes the imported target
# msquicxdp_<variant>. The variants are plain, asan and tsan.

# What the archive is made of: the rooms that capi/ may use, and capi/ itself.
set(archive_sources "${PROJECT_SOURCE_DIR}/go.mod" "${PROJECT_SOURCE_DIR}/go.sum")
foreach(room bpf capi cibir datapath include internal portres rundir)
    foreach(pattern *.go *.c *.h *.o *.json)
        file(GLOB_RECURSE files CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/${room}/${pattern}")
        list(APPEND archive_sources ${files})
    endforeach()
endforeach()
list(FILTER archive_sources EXCLUDE REGEX "_test\\.go$")
list(APPEND archive_sources "${PROJECT_SOURCE_DIR}/scripts/archive.sh" "${PROJECT_SOURCE_DIR}/scripts/lib.sh")

# Go looks for gcc by that name, CMake often knows it as cc: only another compiler is worth naming.
set(archive_environment "")
if(CMAKE_CROSSCOMPILING OR NOT CMAKE_C_COMPILER_ID STREQUAL "GNU")
    set(archive_environment "CC=${CMAKE_C_COMPILER}")
endif()

set(archive_options_plain "")
set(archive_options_asan -s address)
set(archive_options_tsan -s thread)

function(msquicxdp_add_archive variant)
    set(archive "${MSQUICXDP_OUTPUT_DIR}/libmsquicxdp.a")
    if(NOT variant STREQUAL "plain")
        set(archive "${MSQUICXDP_OUTPUT_DIR}/${variant}/libmsquicxdp.a")
    endif()
    # The script leaves an archive alone that would not change; the stamp says that it has looked.
    set(stamp "${PROJECT_BINARY_DIR}/archive-${variant}.stamp")
    add_custom_command(
        OUTPUT "${stamp}"
        BYPRODUCTS "${archive}"
        COMMAND "${CMAKE_COMMAND}" -E env ${archive_environment}
            "${PROJECT_SOURCE_DIR}/scripts/archive.sh" ${archive_options_${variant}} "${archive}"
        COMMAND "${CMAKE_COMMAND}" -E touch "${stamp}"
        DEPENDS ${archive_sources}
        COMMENT "Building the ${variant} archive"
        VERBATIM)
    add_custom_target(archive_${variant} ALL DEPENDS "${stamp}")

    add_library(msquicxdp_${variant} STATIC IMPORTED GLOBAL)
    set_target_properties(msquicxdp_${variant} PROPERTIES
        IMPORTED_LOCATION "${archive}"
        INTERFACE_LINK_LIBRARIES "Threads::Threads;${CMAKE_DL_LIBS}")
    add_dependencies(msquicxdp_${variant} archive_${variant})
endfunction()
