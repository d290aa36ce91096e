"""One file an operation, with its input, its output and its handler; and the table of them, a row each."""

from healthimaging_emulator.healthimaging.operations.list_image_set_versions import LIST_IMAGE_SET_VERSIONS

OPERATIONS = (LIST_IMAGE_SET_VERSIONS,)
