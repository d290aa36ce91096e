"""DICOM files as an import stores them: metadata by the service's rules, and frames."""
