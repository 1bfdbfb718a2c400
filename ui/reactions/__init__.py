"""What listeners think of tracks and names, to be read and taken back.

routes     the page of likes, dislikes and muted names, and the first question to a newcomer
reactions  a listener's reactions by kind
newcomer   tracks from all over the library, of which a newcomer taps some
hand_over  what a guest did becomes the data of the listener whose name they choose
"""
