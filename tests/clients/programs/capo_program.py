"""List all versions with capo, an SDK that shares no code with AWS's; print them."""

import json
import sys
from datetime import datetime

from capo_medical_imaging import MedicalImagingClient

with MedicalImagingClient() as client:
    entries = list(client.iter_list_image_set_versions(**json.loads(sys.argv[1])))
print(json.dumps(entries, default=datetime.timestamp))
