"""One file per operation, with its input, its output and its handler; and here the table of all operations."""

from ...aws.operation import Router
from .copy_image_set import COPY_IMAGE_SET
from .create_datastore import CREATE_DATASTORE
from .delete_datastore import DELETE_DATASTORE
from .delete_image_set import DELETE_IMAGE_SET
from .get_datastore import GET_DATASTORE
from .get_dicom_import_job import GET_DICOM_IMPORT_JOB
from .get_image_frame import GET_IMAGE_FRAME
from .get_image_set import GET_IMAGE_SET
from .get_image_set_metadata import GET_IMAGE_SET_METADATA
from .list_datastores import LIST_DATASTORES
from .list_dicom_import_jobs import LIST_DICOM_IMPORT_JOBS
from .list_image_set_versions import LIST_IMAGE_SET_VERSIONS
from .list_tags_for_resource import LIST_TAGS_FOR_RESOURCE
from .search_image_sets import SEARCH_IMAGE_SETS
from .start_dicom_import_job import START_DICOM_IMPORT_JOB
from .tag_resource import TAG_RESOURCE
from .untag_resource import UNTAG_RESOURCE
from .update_image_set_metadata import UPDATE_IMAGE_SET_METADATA

OPERATIONS = (
    LIST_IMAGE_SET_VERSIONS,
    GET_IMAGE_SET,
    GET_IMAGE_SET_METADATA,
    UPDATE_IMAGE_SET_METADATA,
    COPY_IMAGE_SET,
    CREATE_DATASTORE,
    DELETE_DATASTORE,
    DELETE_IMAGE_SET,
    GET_DATASTORE,
    GET_DICOM_IMPORT_JOB,
    GET_IMAGE_FRAME,
    LIST_DATASTORES,
    LIST_DICOM_IMPORT_JOBS,
    LIST_TAGS_FOR_RESOURCE,
    SEARCH_IMAGE_SETS,
    START_DICOM_IMPORT_JOB,
    TAG_RESOURCE,
    UNTAG_RESOURCE,
)

OPERATIONS_BY_NAME = {operation.name: operation for operation in OPERATIONS}

ROUTER = Router(OPERATIONS)
