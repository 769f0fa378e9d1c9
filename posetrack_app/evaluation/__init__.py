"""Figures of merit: COCO AP, PoseTrack AP and MOTA, HOTA."""
