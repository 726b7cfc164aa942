# SPDX-License-Identifier: MIT
#
# msquicxdp_add_tool() builds the msquicxdp command, by scripts/tool.sh, into bin/ of MSQUICXDP_OUTPUT_DIR.

function(msquicxdp_add_tool)
    file(GLOB_RECURSE sources CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/cmd/*.go")
    list(FILTER sources EXCLUDE REGEX "_test\\.go$")
    set(stamp "${PROJECT_BINARY_DIR}/tool.stamp")
    add_custom_command(
        OUTPUT "${stamp}"
        BYPRODUCTS "${MSQUICXDP_OUTPUT_DIR}/bin/msquicxdp"
        COMMAND "${PROJECT_SOURCE_DIR}/scripts/tool.sh" "${MSQUICXDP_OUTPUT_DIR}/bin"
        COMMAND "${CMAKE_COMMAND}" -E touch "${stamp}"
        DEPENDS ${sources} ${archive_sources} "${PROJECT_SOURCE_DIR}/scripts/tool.sh"
        COMMENT "Building the msquicxdp command"
        VERBATIM)
    add_custom_target(msquicxdp_tool ALL DEPENDS "${stamp}")
endfunction()
